package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cacheKey names a set of binaries by all that they are made from: version, toolchain, architecture, link flags, the
// module's pinned dependencies, the place of its manifests and, for programs of our own, their sources.
func (b binaries) cacheKey(hack, goVersion, arch string) (string, error) {
	files := []string{filepath.Join(hack, b.module, "go.mod"), filepath.Join(hack, b.module, "go.sum")}
	for _, dir := range b.sources {
		found, err := goFiles(filepath.Join(hack, dir))
		if err != nil {
			return "", fmt.Errorf("cache key of %s: %w", b.name, err)
		}
		files = append(files, found...)
	}
	hash := sha256.New()
	programs := make([]string, 0, len(b.packages))
	for path, name := range b.packages {
		programs = append(programs, path+"="+name)
	}
	slices.Sort(programs)
	_, _ = fmt.Fprintf(hash, "%s\n%s\n", b.ldflags, strings.Join(programs, "\n"))
	if b.manifests != (moduleDirectory{}) {
		_, _ = fmt.Fprintf(hash, "%s %s\n", b.manifests.module, b.manifests.directory)
	}
	for _, file := range files {
		if err := hashFile(hash, hack, file); err != nil {
			return "", fmt.Errorf("cache key of %s: %w", b.name, err)
		}
	}
	sum := hex.EncodeToString(hash.Sum(nil))[:12]
	return strings.Join([]string{b.name, b.version, goVersion, arch, sum}, "-"), nil
}

func goFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

func hashFile(hash io.Writer, base, file string) error {
	name, err := filepath.Rel(base, file)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(hash, "%s %d\n%s\n", name, len(content), content)
	return err
}

// FindHack finds the "hack" directory of the checkout: above the working directory or above this program.
func FindHack() (string, error) {
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if program, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(program))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "hack", "tools", "kubernetes", "go.mod")); err == nil {
				return filepath.Join(dir, "hack"), nil
			}
			if filepath.Dir(dir) == dir {
				break
			}
		}
	}
	return "", errors.New("the directory hack/tools is not above the working directory: run this inside the checkout")
}
