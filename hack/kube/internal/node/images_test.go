package node

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestImagesAreImportedInTheOrderOfTheirLoading(t *testing.T) {
	dir := t.TempDir()
	newer, older := filepath.Join(dir, "a.tar"), filepath.Join(dir, "b.tar")
	for file, loaded := range map[string]time.Time{newer: time.Unix(200, 0), older: time.Unix(100, 0)} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, loaded, loaded); err != nil {
			t.Fatal(err)
		}
	}
	got, err := oldestFirst([]string{newer, older})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{older, newer}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v: the newer image must win its reference", got, want)
	}
}
