package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/image"
)

// packImages packs every image whose programs have changed and returns all tarballs.
func (b *Builder) packImages(specs []image.Spec) ([]string, error) {
	packer, err := goFiles(filepath.Join(b.Hack, "kube", "internal", "image"))
	if err != nil {
		return nil, fmt.Errorf("pack images: %w", err)
	}
	files := make([]string, 0, len(specs))
	for _, spec := range specs {
		key, err := imageKey(spec, packer)
		if err != nil {
			return nil, fmt.Errorf("pack image %s: %w", spec.Reference, err)
		}
		dir, err := b.cached(key, func(dir string) error {
			return b.Report.Step("pack image "+spec.Reference, func() error {
				return image.Write(spec, filepath.Join(dir, "image.tar"))
			})
		})
		if err != nil {
			return nil, err
		}
		files = append(files, filepath.Join(dir, "image.tar"))
	}
	return files, nil
}

// imageKey depends on everything that is in the image and on the code that packs it. The programs count by their
// digests: a new build that gives the same bytes needs no new image.
func imageKey(spec image.Spec, packer []string) (string, error) {
	hash := sha256.New()
	for _, file := range packer {
		if err := hashFile(hash, filepath.Dir(file), file); err != nil {
			return "", err
		}
	}
	_, _ = fmt.Fprintln(hash, spec.Reference, spec.User, spec.Architecture, spec.Directories, spec.CACertificates,
		strings.Join(slices.Concat(spec.Entrypoint, []string{"|"}, spec.Command, []string{"|"}, spec.Env), " "))
	for _, file := range spec.Files {
		digest, err := os.ReadFile(filepath.Join(filepath.Dir(file.Source), digestFile))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(hash, "%s %s %s\n", file.Target, filepath.Base(file.Source), digest)
	}
	name := strings.NewReplacer("/", "_", ":", "_").Replace(spec.Reference)
	return "image-" + name + "-" + hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// digestFile holds the digest of the programs in the same directory of the cache.
const digestFile = ".digest"

// writeDigest records what the programs in dir are.
func writeDigest(dir string, programs []string) error {
	hash := sha256.New()
	for _, program := range slices.Sorted(slices.Values(programs)) {
		file, err := os.Open(filepath.Join(dir, program))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(hash, program)
		_, copyErr := io.Copy(hash, file)
		if err := errors.Join(copyErr, file.Close()); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, digestFile), []byte(hex.EncodeToString(hash.Sum(nil))), 0o644)
}

// imageSpecs are the images that every node starts with.
func imageSpecs(artifacts Artifacts) []image.Spec {
	specs := []image.Spec{
		{
			Reference: PauseImage, Architecture: runtime.GOARCH, User: "65535:65535", Entrypoint: []string{"/pause"},
			Files: []image.File{{Source: filepath.Join(artifacts.PauseDir, "pause"), Target: "/pause"}},
		},
		{
			Reference: CoreDNSImage, Architecture: runtime.GOARCH, User: "65532:65532", Entrypoint: []string{"/coredns"},
			Files: []image.File{{Source: filepath.Join(artifacts.CoreDNSDir, "coredns"), Target: "/coredns"}},
		},
	}
	for _, version := range EtcdVersions() {
		specs = append(specs, etcdImage(version, artifacts.EtcdDirs[version]))
	}
	return specs
}

func certManagerImage(dir string) image.Spec {
	return image.Spec{
		Reference: CertManagerImage, Architecture: runtime.GOARCH, User: "65532:65532",
		Entrypoint: []string{"/cert-manager"},
		Files:      []image.File{{Source: filepath.Join(dir, "cert-manager"), Target: "/cert-manager"}},
	}
}

// etcdImage has the paths and the command of the official image.
func etcdImage(version, dir string) image.Spec {
	spec := image.Spec{
		Reference: EtcdImage(version), Architecture: runtime.GOARCH,
		Command:     []string{"/usr/local/bin/etcd"},
		Env:         []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Directories: []string{"/var/etcd", "/var/lib/etcd"},
	}
	for _, program := range []string{"etcd", "etcdctl", "etcdutl"} {
		spec.Files = append(spec.Files, image.File{
			Source: filepath.Join(dir, program), Target: "/usr/local/bin/" + program,
		})
	}
	return spec
}
