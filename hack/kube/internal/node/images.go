package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/containerd"
	"github.com/quorate/quorate/hack/kube/internal/layout"
)

// Import puts images into the containerd of a node that runs.
func (n Nodes) Import(ctx context.Context, number int, files ...string) error {
	name := layout.NodeName(number)
	pid, err := n.anchor(name)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := (containerd.Daemon{PID: pid}).Import(ctx, file); err != nil {
			return fmt.Errorf("import %s on %s: %w", file, name, err)
		}
	}
	return nil
}

// Load imports image tarballs on all nodes that run, and keeps them for those that are down.
func (n Nodes) Load(ctx context.Context, files []string) error {
	kept := make([]string, 0, len(files))
	for _, file := range files {
		copied, err := n.keep(file)
		if err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
		kept = append(kept, copied)
	}
	failures := make([]error, n.Count)
	var running sync.WaitGroup
	for i := range n.Count {
		if n.Running(i + 1) {
			running.Go(func() { failures[i] = n.Import(ctx, i+1, kept...) })
		}
	}
	running.Wait()
	return errors.Join(failures...)
}

// keep copies a tarball under a name that depends on its path: loading a newer one from there replaces it.
func (n Nodes) keep(file string) (string, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	source, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = source.Close() }()
	if err := os.MkdirAll(n.Layout.LoadedImages(), 0o755); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	kept := filepath.Join(n.Layout.LoadedImages(), hex.EncodeToString(sum[:])[:12]+".tar")
	target, err := os.Create(kept + ".tmp")
	if err != nil {
		return "", err
	}
	_, copyErr := io.Copy(target, source)
	if err := errors.Join(copyErr, target.Close()); err != nil {
		return "", err
	}
	return kept, os.Rename(kept+".tmp", kept)
}

// importLoaded imports what was loaded while the node was down; what it has already is found by digest and cheap.
func (n Nodes) importLoaded(ctx context.Context, number int) error {
	kept, err := filepath.Glob(filepath.Join(n.Layout.LoadedImages(), "*.tar"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list loaded images: %w", err)
	}
	ordered, err := oldestFirst(kept)
	if err != nil {
		return err
	}
	return n.Import(ctx, number, ordered...)
}

// oldestFirst orders files by the time they were loaded, so that of two images with one reference the newer one stays.
func oldestFirst(files []string) ([]string, error) {
	loaded := map[string]time.Time{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("loaded image: %w", err)
		}
		loaded[file] = info.ModTime()
	}
	return slices.SortedFunc(slices.Values(files), func(a, b string) int { return loaded[a].Compare(loaded[b]) }), nil
}
