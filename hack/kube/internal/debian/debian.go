// Package debian installs the host programs that the local Kubernetes runs on.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/progress"
)

// requirement maps a program to the Debian package that has it.
type requirement struct{ program, pkg string }

func requirements() []requirement {
	return []requirement{
		{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"},
		{"ptp", "containernetworking-plugins"},
		{"nft", "nftables"}, {"iptables", "iptables"}, {"ip", "iproute2"}, {"conntrack", "conntrack"},
		{"socat", "socat"}, {"mkfs.xfs", "xfsprogs"}, {"modprobe", "kmod"},
		{"losetup", "mount"}, {"mount", "mount"}, {"nsenter", "util-linux"}, {"unshare", "util-linux"},
	}
}

// Install installs the packages of those programs that are missing; it does nothing when none is.
func Install(ctx context.Context, report *progress.Reporter) error {
	missing := missingPackages(requirements(), have)
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("these programs are missing and apt-get is not there to install them: %s", list)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("packages are missing: run this as root, or apt-get install %s", list)
	}
	return report.Step("install packages "+list, func() error { return install(ctx, missing) })
}

func install(ctx context.Context, packages []string) error {
	restore, err := preventServices()
	if err != nil {
		return err
	}
	argv := append([]string{
		"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends",
	}, packages...)
	installErr := command.Run(ctx, argv...)
	if installErr != nil {
		// The package lists may be old or absent.
		if updateErr := command.Run(ctx, "apt-get", "update"); updateErr != nil {
			return errors.Join(installErr, updateErr, restore())
		}
		installErr = command.Run(ctx, argv...)
	}
	if installErr == nil && slices.Contains(packages, "containerd") {
		disableService(ctx, "containerd")
	}
	return errors.Join(installErr, restore())
}

// preventServices keeps packages from starting their services while they are installed: the cluster runs its own
// containerds, and the machine's is none of ours. The file is Debian's interface for that.
func preventServices() (restore func() error, err error) {
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); err == nil {
		return func() error { return nil }, nil
	}
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	return func() error { return os.Remove(policy) }, nil
}

// disableService also keeps it from being started by the next boot. Without systemd there is nothing to do.
func disableService(ctx context.Context, service string) {
	if _, err := exec.LookPath("systemctl"); err == nil {
		_ = command.Run(ctx, "systemctl", "disable", service)
	}
}

func missingPackages(wanted []requirement, have func(program string) bool) []string {
	var missing []string
	for _, r := range wanted {
		if !have(r.program) && !slices.Contains(missing, r.pkg) {
			missing = append(missing, r.pkg)
		}
	}
	return missing
}

// have looks for a program on the PATH, in the directories of system programs and among the CNI plugins.
func have(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}
