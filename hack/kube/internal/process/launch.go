package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/cgroup"
)

// LaunchCommand is the hidden subcommand that puts itself in place and then becomes the wanted program. Doing it
// from the inside means that no moment exists in which the program runs in the wrong cgroup or namespace.
const LaunchCommand = "launch"

// Placement says in which cgroup and namespaces a program runs. Empty fields leave the caller's.
type Placement struct {
	Cgroup string `json:"cgroup,omitempty"`
	NetNS  string `json:"netns,omitempty"`
	// MountNS is a mount namespace to join, such as /proc/PID/ns/mnt.
	MountNS string `json:"mountns,omitempty"`
	// Mounts asks for a mount namespace of its own, in which host mounts appear but which the host does not see.
	// It vanishes with its last process, and all mounts in it.
	Mounts *Mounts `json:"mounts,omitempty"`
}

// Mounts lists what is mounted in a new mount namespace.
type Mounts struct {
	Tmpfs []string `json:"tmpfs,omitempty"`
	Binds []Bind   `json:"binds,omitempty"`
}

// Bind shows the directory or file From at To.
type Bind struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func launchArgv(spec Spec) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	placement, err := json.Marshal(spec.Placement)
	if err != nil {
		return nil, fmt.Errorf("encode placement: %w", err)
	}
	return append([]string{self, LaunchCommand, string(placement)}, spec.Argv...), nil
}

// Launch moves the calling process to its placement and replaces it with argv. It returns only on errors.
func Launch(encoded string, argv []string) error {
	var place Placement
	if err := json.Unmarshal([]byte(encoded), &place); err != nil {
		return fmt.Errorf("decode placement: %w", err)
	}
	if len(argv) == 0 {
		return errors.New("no program to launch")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	return Become(path, argv, place, os.Environ())
}

func (p Placement) enter() error {
	if p.Cgroup != "" {
		cgroups, err := cgroup.Detect()
		if err != nil {
			return err
		}
		if err := cgroups.Enter(p.Cgroup); err != nil {
			return err
		}
	}
	if p.NetNS != "" {
		if err := joinNamespace(p.NetNS, unix.CLONE_NEWNET); err != nil {
			return err
		}
	}
	if p.MountNS != "" {
		// A thread that shares its filesystem attributes with others may not change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare filesystem attributes: %w", err)
		}
		return joinNamespace(p.MountNS, unix.CLONE_NEWNS)
	}
	if p.Mounts != nil {
		return p.Mounts.create()
	}
	return nil
}

func joinNamespace(file string, kind int) error {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", file, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Setns(fd, kind); err != nil {
		return fmt.Errorf("join namespace %s: %w", file, err)
	}
	return nil
}

// create makes the new mount namespace a slave of the host's (host mounts appear in it, not the other way round)
// and a sharing group of its own, which mount propagation into containers needs.
func (m Mounts) create() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("create a mount namespace: %w", err)
	}
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("set mount propagation: %w", err)
		}
	}
	for _, bind := range m.Binds {
		if err := unix.Mount(bind.From, bind.To, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show %s at %s: %w", bind.From, bind.To, err)
		}
	}
	for _, target := range m.Tmpfs {
		if err := unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs at %s: %w", target, err)
		}
	}
	return nil
}

// Become replaces the calling process with a program at a placement. It returns only on errors.
func Become(path string, argv []string, place Placement, environment []string) error {
	// Namespaces belong to a thread; the thread that calls exec gives its own to the new program.
	runtime.LockOSThread()
	directory, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	if err := place.enter(); err != nil {
		return err
	}
	// A new mount namespace leaves the directory in the old one.
	if err := unix.Chdir(directory); err != nil {
		return fmt.Errorf("return to %s: %w", directory, err)
	}
	return fmt.Errorf("run %s: %w", path, unix.Exec(path, argv, environment))
}
