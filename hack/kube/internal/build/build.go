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
	"syscall"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/filelock"
	"github.com/quorate/quorate/hack/kube/internal/image"
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

// Build compiles all binaries and packs all images of the cluster itself that are not cached yet.
func (b *Builder) Build(ctx context.Context) (Artifacts, error) {
	release, err := b.begin(ctx)
	if err != nil {
		return Artifacts{}, err
	}
	defer release()
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
	images, err := b.packImages(imageSpecs(artifacts))
	if err != nil {
		return artifacts, err
	}
	artifacts.ImageStore, err = b.imageStore(ctx, images)
	return artifacts, err
}

// CertManager compiles and packs cert-manager unless it is cached. It takes minutes, and few clusters need it.
func (b *Builder) CertManager(ctx context.Context) (CertManager, error) {
	release, err := b.begin(ctx)
	if err != nil {
		return CertManager{}, err
	}
	defer release()
	dir, err := b.compile(ctx, certManager())
	if err != nil {
		return CertManager{}, err
	}
	images, err := b.packImages([]image.Spec{certManagerImage(dir)})
	if err != nil {
		return CertManager{}, err
	}
	return CertManager{Image: images[0], CRDs: filepath.Join(dir, manifestsDirectory)}, nil
}

// begin takes the lock and finds the toolchain.
func (b *Builder) begin(ctx context.Context) (release func(), err error) {
	release, err = b.lock()
	if err != nil {
		return nil, err
	}
	version, err := command.Output(ctx, "go", "env", "GOVERSION")
	if err != nil {
		release()
		return nil, fmt.Errorf("find the Go toolchain (it must be on the PATH): %w", err)
	}
	b.goVersion = strings.TrimSpace(string(version))
	return release, nil
}

// lock keeps builds apart and then removes what an interrupted one has left.
func (b *Builder) lock() (release func(), err error) {
	release, err = filelock.Acquire(filepath.Join(b.Layout.Cache, "build.lock"), func() {
		b.Report.Say("waiting for another build")
	})
	if err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(b.Layout.Cache, unfinished+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("clean the cache: %w", err)
	}
	return release, nil
}

// unfinished begins the names of directories that are being filled.
const unfinished = ".building-"

// compile builds a set of binaries unless the cache holds it, and returns its directory.
func (b *Builder) compile(ctx context.Context, set binaries) (string, error) {
	key, err := set.cacheKey(b.Hack, b.goVersion, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return b.cached(key, func(dir string) error {
		return b.Report.StepWith("compile "+set.name+" "+set.version, func(detail func(string)) error {
			if err := b.goBuild(ctx, set, dir, detail); err != nil {
				return err
			}
			if err := b.copyManifests(ctx, set, filepath.Join(dir, manifestsDirectory)); err != nil {
				return err
			}
			return writeDigest(dir, slices.Collect(maps.Values(set.packages)))
		})
	})
}

// goBuild compiles all programs of a set at once; with -v each package is named, which tells how far it is.
func (b *Builder) goBuild(ctx context.Context, set binaries, dir string, detail func(string)) error {
	args := []string{"build", "-v", "-trimpath", "-ldflags", set.ldflags, "-o", dir + string(filepath.Separator)}
	cmd := b.goCommand(ctx, set, append(args, slices.Sorted(maps.Keys(set.packages))...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	var last []string
	lines := bufio.NewScanner(stderr)
	for count := 1; lines.Scan(); count++ {
		last = append(last, lines.Text())
		last = last[max(0, len(last)-20):]
		detail(fmt.Sprintf("%d packages done, the last is %s", count, lines.Text()))
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("compile: %w:\n%s", err, strings.Join(last, "\n"))
	}
	return rename(dir, set.packages)
}

// goCommand is a go command in the module of a set.
func (b *Builder) goCommand(ctx context.Context, set binaries, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.Hack, set.module)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	return cmd
}

// rename gives the programs their wanted names: "go build" names them after the last element of the import path that
// is no version.
func rename(dir string, packages map[string]string) error {
	for path, program := range packages {
		built := filepath.Base(path)
		if strings.HasPrefix(built, "v") && strings.Trim(built, "v0123456789") == "" {
			built = filepath.Base(filepath.Dir(path))
		}
		if built == program {
			continue
		}
		if err := os.Rename(filepath.Join(dir, built), filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("compile %s: %w", path, err)
		}
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
	temporary, err := os.MkdirTemp(b.Layout.Cache, unfinished)
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
