// Package cgroup keeps the cluster's processes in control groups of their own, on cgroup v1, hybrid and v2 machines.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Cgroups is the machine's set of cgroup hierarchies.
type Cgroups struct {
	hierarchies []hierarchy
}

type hierarchy struct {
	mount       string
	v2          bool
	controllers []string // of a v1 hierarchy
}

// Detect reads which hierarchies are mounted.
func Detect() (Cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Cgroups{}, fmt.Errorf("detect cgroups: %w", err)
	}
	found := parseMounts(string(mounts))
	if len(found) == 0 {
		return Cgroups{}, errors.New("no cgroup file system is mounted below /sys/fs/cgroup: mount one, e.g. " +
			"mount -t cgroup2 none /sys/fs/cgroup")
	}
	return Cgroups{hierarchies: found}, nil
}

// parseMounts finds cgroup mounts in the text of /proc/self/mountinfo: "ID PARENT DEV ROOT TARGET OPTIONS [TAGS] -
// TYPE SOURCE SUPEROPTIONS".
func parseMounts(mountinfo string) []hierarchy {
	var found []hierarchy
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || !strings.HasPrefix(left[4], "/sys/fs/cgroup") {
			continue
		}
		switch right[0] {
		case "cgroup2":
			found = append(found, hierarchy{mount: left[4], v2: true})
		case "cgroup":
			found = append(found, hierarchy{mount: left[4], controllers: strings.Split(right[2], ",")})
		}
	}
	return found
}

// Unified tells whether this is a pure cgroup v2 machine.
func (c Cgroups) Unified() bool { return len(c.hierarchies) == 1 && c.hierarchies[0].v2 }

// Create makes a cgroup in every hierarchy, ready to hold processes or (on v2) children with all controllers.
func (c Cgroups) Create(path string) error {
	for _, h := range c.hierarchies {
		if err := h.create(path); err != nil {
			return fmt.Errorf("create cgroup %s in %s: %w", path, h.mount, err)
		}
	}
	return nil
}

// create walks down from the hierarchy's root: a v1 cpuset has to be copied from the parent before a process may
// enter, and v2 controllers are handed down level by level.
func (h hierarchy) create(path string) error {
	parent := h.mount
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if h.v2 {
			if err := enableControllers(parent); err != nil {
				return err
			}
		}
		child := filepath.Join(parent, name)
		if err := os.Mkdir(child, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if slices.Contains(h.controllers, "cpuset") {
			if err := inheritCpuset(parent, child); err != nil {
				return err
			}
		}
		parent = child
	}
	return nil
}

func enableControllers(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(available)) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && slices.Contains([]string{"cpu", "cpuset", "memory", "pids"}, controller) {
			return fmt.Errorf("hand down controller %s (a cgroup with processes of its own cannot): %w", controller, err)
		}
	}
	return nil
}

func inheritCpuset(parent, child string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(child, file))
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(own)) > 0 {
			continue
		}
		inherited, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(child, file), inherited, 0); err != nil {
			return err
		}
	}
	return nil
}

// Enter moves the calling process into a cgroup of every hierarchy.
func (c Cgroups) Enter(path string) error {
	for _, h := range c.hierarchies {
		procs := filepath.Join(h.mount, path, "cgroup.procs")
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return nil
}

// Processes lists the pids in a cgroup and all below it, in any hierarchy.
func (c Cgroups) Processes(path string) ([]int, error) {
	found := map[int]struct{}{}
	for _, h := range c.hierarchies {
		err := walk(filepath.Join(h.mount, path), func(dir string) error {
			content, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				return err
			}
			for field := range strings.FieldsSeq(string(content)) {
				// A process of another pid namespace is shown as 0.
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					found[pid] = struct{}{}
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup %s: %w", path, err)
		}
	}
	pids := make([]int, 0, len(found))
	for pid := range found {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// Exists lists the directories of a cgroup that are left, one for each hierarchy that still has it.
func (c Cgroups) Exists(path string) []string {
	var left []string
	for _, h := range c.hierarchies {
		dir := filepath.Join(h.mount, path)
		if _, err := os.Stat(dir); err == nil {
			left = append(left, dir)
		}
	}
	return left
}

// walk visits dir and its sub-directories, children first; what disappears meanwhile is no error.
func walk(dir string, visit func(string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreGone(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := walk(filepath.Join(dir, entry.Name()), visit); err != nil {
				return err
			}
		}
	}
	return ignoreGone(visit(dir))
}
