package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/progress"
)

// Builder builds what the cache lacks.
type Builder struct {
	// Hack is the directory "hack" of the checkout.
	Hack   string
	Layout layout.Layout
	Report *progress.Reporter

	goVersion string
}

// Build compiles all binaries and packs all images that are not cached yet.
func (b *Builder) Build(ctx context.Context) (Artifacts, error) {
	version, err := command.Output(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return Artifacts{}, fmt.Errorf("find the Go toolchain (it must be on the PATH): %w", err)
	}
	b.goVersion = strings.TrimSpace(string(version))
	artifacts := Artifacts{EtcdDirs: map[string]string{}}
	if artifacts.KubernetesDir, err = b.compile(ctx, kubernetes()); err != nil {
		return artifacts, err
	}
	for _, version := range EtcdVersions() {
		if artifacts.EtcdDirs[version], err = b.compile(ctx, etcd(version)); err != nil {
			return artifacts, err
		}
	}
	if artifacts.CoreDNSDir, err = b.compile(ctx, coreDNS()); err != nil {
		return artifacts, err
	}
	if artifacts.PauseDir, err = b.compile(ctx, pause()); err != nil {
		return artifacts, err
	}
	if artifacts.ProvisionerDir, err = b.compile(ctx, provisioner()); err != nil {
		return artifacts, err
	}
	images, err := b.packImages(artifacts)
	if err != nil {
		return artifacts, err
	}
	artifacts.ImageStore, err = b.imageStore(ctx, images)
	return artifacts, err
}

// compile builds a set of binaries unless the cache holds it, and returns its directory.
func (b *Builder) compile(ctx context.Context, set binaries) (string, error) {
	key, err := set.cacheKey(b.Hack, b.goVersion, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return b.cached(key, func(dir string) error {
		return b.Report.StepWith("compile "+set.name+" "+set.version, func(detail func(string)) error {
			for path, program := range set.packages {
				// Several programs of one module share their packages: the first build compiles for all.
				if err := b.goBuild(ctx, set, path, filepath.Join(dir, program), detail); err != nil {
					return err
				}
			}
			return writeDigest(dir, slices.Collect(maps.Values(set.packages)))
		})
	})
}

// goBuild compiles one program; with -v the compiler names each package, which tells how far it is.
func (b *Builder) goBuild(ctx context.Context, set binaries, path, output string, detail func(string)) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-ldflags", set.ldflags, "-o", output, path)
	cmd.Dir = filepath.Join(b.Hack, set.module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("compile %s: %w", path, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("compile %s: %w", path, err)
	}
	var last []string
	lines := bufio.NewScanner(stderr)
	for count := 1; lines.Scan(); count++ {
		last = append(last, lines.Text())
		last = last[max(0, len(last)-20):]
		detail(fmt.Sprintf("%s, %d packages done, the last is %s", filepath.Base(output), count, lines.Text()))
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("compile %s: %w:\n%s", path, err, strings.Join(last, "\n"))
	}
	return nil
}

// cached returns the directory CACHE/key and has create fill it when it does not exist. It appears by a rename, so a
// build that was interrupted leaves no half-filled directory under its name.
func (b *Builder) cached(key string, create func(dir string) error) (string, error) {
	final := filepath.Join(b.Layout.Cache, key)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(b.Layout.Cache, 0o755); err != nil {
		return "", fmt.Errorf("create the cache: %w", err)
	}
	temporary, err := os.MkdirTemp(b.Layout.Cache, ".building-")
	if err != nil {
		return "", fmt.Errorf("create the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	if err := create(temporary); err != nil {
		return "", err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", fmt.Errorf("fill the cache: %w", err)
	}
	err = os.Rename(temporary, final)
	if _, statErr := os.Stat(final); err != nil && statErr != nil {
		return "", errors.Join(fmt.Errorf("fill the cache: %w", err), statErr)
	}
	return final, nil
}
