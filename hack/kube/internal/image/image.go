// Package image packs static programs into container images without a container engine.
package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec describes an image of one layer, like a Dockerfile FROM scratch.
type Spec struct {
	Reference    string
	Architecture string
	// User is "UID" or "UID:GID"; empty means root.
	User       string
	Entrypoint []string
	Command    []string
	// Env holds NAME=VALUE.
	Env         []string
	Files       []File
	Directories []string
	// CACertificates asks for the host's certificate authorities at the place where Go programs look for them.
	CACertificates bool
}

// File copies a regular file of the host into the image; it is executable there when it is on the host.
type File struct{ Source, Target string }

// CACertificatesPath is where Go programs look for certificate authorities.
const CACertificatesPath = "/etc/ssl/certs/ca-certificates.crt"

// Write packs the image into a tarball that "ctr images import", "docker load" and "kind load image-archive" read.
// The same input gives the same bytes.
func Write(spec Spec, file string) error {
	reference, err := name.NewTag(spec.Reference)
	if err != nil {
		return fmt.Errorf("pack image %q: %w", spec.Reference, err)
	}
	packed, err := build(spec)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Reference, err)
	}
	temporary := file + ".tmp"
	if err := tarball.WriteToFile(temporary, reference, packed); err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Reference, errors.Join(err, os.Remove(temporary)))
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Reference, err)
	}
	return nil
}

func build(spec Spec) (v1.Image, error) {
	if err := checkTargets(spec); err != nil {
		return nil, err
	}
	if spec.CACertificates {
		spec.Files = append(slices.Clone(spec.Files), File{Source: CACertificatesPath, Target: CACertificatesPath})
	}
	content, err := layer(spec)
	if err != nil {
		return nil, err
	}
	// Uncompressed: the tarball is local, and unpacking it must be quick.
	packed, err := mutate.AppendLayers(empty.Image, static.NewLayer(content, types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	config, err := packed.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = spec.Architecture, "linux"
	config.Created = v1.Time{Time: timestamp()}
	config.Config = v1.Config{
		User: spec.User, Entrypoint: spec.Entrypoint, Cmd: spec.Command, Env: spec.Env, WorkingDir: "/",
	}
	for i := range config.History {
		config.History[i].Created = v1.Time{Time: timestamp()}
	}
	return mutate.ConfigFile(packed, config)
}

// timestamp is the same for all files and images, so that equal contents are equal images.
func timestamp() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func layer(spec Spec) ([]byte, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, dir := range directories(spec) {
		header := &tar.Header{
			Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, ModTime: timestamp(),
		}
		if dir == "/tmp" {
			header.Mode = 0o1777
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	byTarget := func(a, b File) int { return strings.Compare(a.Target, b.Target) }
	files := slices.SortedFunc(slices.Values(spec.Files), byTarget)
	for _, file := range files {
		if err := addFile(archive, file); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// checkTargets refuses paths that are not absolute or not clean: all parents of a good one lead to the root.
func checkTargets(spec Spec) error {
	targets := slices.Clone(spec.Directories)
	for _, file := range spec.Files {
		targets = append(targets, file.Target)
	}
	for _, target := range targets {
		if !path.IsAbs(target) || path.Clean(target) != target {
			return fmt.Errorf("a path in the image must be absolute and clean, got %q", target)
		}
	}
	return nil
}

// directories lists every parent of the files, wanted directories and /tmp, parents first.
func directories(spec Spec) []string {
	wanted := append(slices.Clone(spec.Directories), "/tmp")
	for _, file := range spec.Files {
		wanted = append(wanted, path.Dir(file.Target))
	}
	var all []string
	for _, dir := range wanted {
		for ; dir != "/" && dir != "."; dir = path.Dir(dir) {
			all = append(all, dir)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func addFile(archive *tar.Writer, file File) error {
	source, err := os.Open(file.Source)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", file.Source)
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(file.Target, "/"), Size: info.Size(),
		Mode: int64(mode(info.Mode())), ModTime: timestamp(),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, source)
	return err
}

func mode(m fs.FileMode) fs.FileMode {
	if m&0o111 != 0 {
		return 0o755
	}
	return 0o644
}
