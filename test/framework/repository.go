// Package framework is what the end-to-end tests, the demo and the benchmark share: a Kubernetes with the operator on
// it, clients of etcd's members, a writer that knows what was acknowledged, and the check that nothing of it is lost.
package framework

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const module = "module github.com/quorate/quorate\n"

// Root is the top directory of the checkout: the nearest one at or above the working directory with the project's
// go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), module) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the checkout: no directory at or above this one holds the project's go.mod; " +
				"run this inside the checkout")
		}
		dir = parent
	}
}
