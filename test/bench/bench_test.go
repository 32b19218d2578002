package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestOneBenchmarkAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "another benchmark is running") {
		t.Errorf("a second benchmark: error is %v, want one that tells of the first", err)
	}
	unlock()
	unlock, err = lock(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	unlock()
}
