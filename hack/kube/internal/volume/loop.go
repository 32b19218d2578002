package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LoopDevices maps attached loop devices to the files behind them, for files below dir.
func LoopDevices(dir string) (map[string]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, fmt.Errorf("list loop devices: %w", err)
	}
	devices := map[string]string{}
	for _, file := range backing {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // detached since the listing
		}
		path := strings.TrimSuffix(strings.TrimSpace(string(content)), " (deleted)")
		if strings.HasPrefix(path, dir+"/") {
			devices["/dev/"+filepath.Base(filepath.Dir(filepath.Dir(file)))] = path
		}
	}
	return devices, nil
}
