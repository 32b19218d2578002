package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/image"
)

// imageFormat is part of the images' cache key: raise it when the way of packing changes.
const imageFormat = "1"

// packImages packs every image whose binaries have changed and returns all tarballs.
func (b *Builder) packImages(artifacts Artifacts) ([]string, error) {
	specs := imageSpecs(artifacts)
	files := make([]string, 0, len(specs))
	for _, spec := range specs {
		dir, err := b.cached(imageKey(spec), func(dir string) error {
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

// imageKey depends on the paths of the binaries, which carry the keys of what they were built from.
func imageKey(spec image.Spec) string {
	parts := []string{imageFormat, spec.Reference, spec.User, spec.Architecture}
	for _, file := range spec.Files {
		parts = append(parts, file.Source, file.Target)
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Concat(parts, spec.Entrypoint, spec.Command, spec.Env), "\n")))
	name := strings.NewReplacer("/", "_", ":", "_").Replace(spec.Reference)
	return "image-" + name + "-" + hex.EncodeToString(sum[:])[:12]
}

func imageSpecs(artifacts Artifacts) []image.Spec {
	specs := []image.Spec{
		{
			Reference: PauseImage, Architecture: runtime.GOARCH, User: "65535:65535", Entrypoint: []string{"/pause"},
			Files: []image.File{{Source: filepath.Join(artifacts.helpers, "pause"), Target: "/pause"}},
		},
		{
			Reference: CoreDNSImage, Architecture: runtime.GOARCH, User: "65532:65532", Entrypoint: []string{"/coredns"},
			Files: []image.File{{Source: filepath.Join(artifacts.coreDNS, "coredns"), Target: "/coredns"}},
		},
	}
	for _, version := range EtcdVersions() {
		specs = append(specs, etcdImage(version, artifacts.etcd[version]))
	}
	return specs
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
			Source: filepath.Join(dir, program), Target: fmt.Sprintf("/usr/local/bin/%s", program),
		})
	}
	return spec
}
