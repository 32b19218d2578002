package build

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/hack/kube/internal/layout"
)

func TestACachedDirectoryIsFilledOnceAndNeverHalf(t *testing.T) {
	builder := &Builder{Layout: layout.Layout{Cache: filepath.Join(t.TempDir(), "cache")}}
	broken := errors.New("broken")
	_, err := builder.cached("key", func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got error %v, want the one of the build", err)
	}
	left, err := os.ReadDir(builder.Layout.Cache)
	if err != nil || len(left) != 0 {
		t.Fatalf("a failed build left %v (%v)", left, err)
	}
	runs := 0
	fill := func(dir string) error {
		runs++
		return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644)
	}
	for range 2 {
		dir, err := builder.cached("key", fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "whole")); err != nil {
			t.Error(err)
		}
	}
	if runs != 1 {
		t.Errorf("it was built %d times, want once", runs)
	}
}
