package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kernelSettings are those that kubelet sets for the whole machine, and those that are too low on many machines for
// several kubelets and containerds of one user; wanted is the least value of the latter, 0 where kubelet decides.
func kernelSettings() map[string]int {
	return map[string]int{
		"vm/overcommit_memory":          0,
		"vm/panic_on_oom":               0,
		"kernel/panic":                  0,
		"kernel/panic_on_oops":          0,
		"kernel/keys/root_maxkeys":      0,
		"kernel/keys/root_maxbytes":     0,
		"fs/inotify/max_user_instances": 1024,
		"fs/inotify/max_user_watches":   524288,
	}
}

func readKernelSettings() (map[string]string, error) {
	values := map[string]string{}
	for name := range kernelSettings() {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return nil, fmt.Errorf("read kernel setting %s: %w", name, err)
		}
		values[name] = strings.TrimSpace(string(value))
	}
	return values, nil
}

// raiseKernelSettings raises what is too low, given the values that were read.
func raiseKernelSettings(values map[string]string) error {
	for name, wanted := range kernelSettings() {
		if wanted == 0 {
			continue
		}
		current, err := strconv.Atoi(values[name])
		if err != nil {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
		if current >= wanted {
			continue
		}
		if err := writeKernelSetting(name, strconv.Itoa(wanted)); err != nil {
			return err
		}
	}
	return nil
}

// restoreKernelSettings writes back what is recorded, only for the settings that are known to be changed.
func restoreKernelSettings(values map[string]string) error {
	for name := range kernelSettings() {
		value, recorded := values[name]
		if !recorded {
			continue
		}
		if err := writeKernelSetting(name, value); err != nil {
			return err
		}
	}
	return nil
}

func writeKernelSetting(name, value string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		return fmt.Errorf("set kernel setting %s to %s: %w", name, value, err)
	}
	return nil
}
