package filelock

import (
	"path/filepath"
	"testing"
)

func TestOnlyOneHoldsTheLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dir", "lock")
	release, err := Acquire(file, func() { t.Error("waited for a free lock") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, second := make(chan struct{}), make(chan error)
	go func() {
		releaseSecond, err := Acquire(file, func() { close(waiting) })
		if err == nil {
			releaseSecond()
		}
		second <- err
	}()
	<-waiting
	select {
	case err := <-second:
		t.Fatalf("the lock was given twice (%v)", err)
	default:
	}
	release()
	if err := <-second; err != nil {
		t.Error(err)
	}
}
