package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// copyManifests copies the manifests of a set out of Go's module cache, which may be gone when they are needed.
func (b *Builder) copyManifests(ctx context.Context, set binaries, target string) error {
	from := set.manifests
	if from == (moduleDirectory{}) {
		return nil
	}
	var stderr bytes.Buffer
	list := b.goCommand(ctx, set, "list", "-m", "-f", "{{.Dir}}", from.module)
	list.Stderr = &stderr
	root, err := list.Output()
	if err != nil {
		return fmt.Errorf("find module %s: %w: %s", from.module, err, strings.TrimSpace(stderr.String()))
	}
	source := filepath.Join(strings.TrimSpace(string(root)), from.directory)
	files, err := filepath.Glob(filepath.Join(source, "*.yaml"))
	if err != nil {
		return fmt.Errorf("list manifests: %w", err)
	}
	if len(files) == 0 {
		return fmt.Errorf("no manifests in %s: module %s has them elsewhere now", source, from.module)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("copy manifests: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("copy manifests: %w", err)
		}
		if err := os.WriteFile(filepath.Join(target, filepath.Base(file)), content, 0o644); err != nil {
			return fmt.Errorf("copy manifests: %w", err)
		}
	}
	return nil
}
