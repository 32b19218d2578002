package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CNIStateDir is a fixed path of the CNI library; it has to exist on the host to be covered by a node's own.
const CNIStateDir = "/var/lib/cni"

// RemoveCNIStateDir removes the directory if it is empty, which means that nothing of the host uses it, and covered
// in no mount namespace: removing it there would take the mount away from the nodes of another cluster.
func RemoveCNIStateDir() error {
	tables, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		return fmt.Errorf("look for users of %s: %w", CNIStateDir, err)
	}
	for _, table := range tables {
		// A process that has ended meanwhile uses nothing.
		if mounts, err := os.ReadFile(table); err == nil && bytes.Contains(mounts, []byte(" "+CNIStateDir+" ")) {
			return nil
		}
	}
	err = os.Remove(CNIStateDir)
	if err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", CNIStateDir, err)
	}
	return nil
}
