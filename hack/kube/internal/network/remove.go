package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/command"
)

// Remove deletes the host's link and routes and all namespaces, whatever of them exists. It needs no ranges, so that
// it also works when the record of them was lost.
func (n Network) Remove(ctx context.Context) error {
	var failures []error
	if _, err := net.InterfaceByName(n.Layout.HostInterface()); err == nil {
		failures = append(failures, command.Run(ctx, "ip", "link", "del", n.Layout.HostInterface()))
	}
	routes, err := n.OwnRoutes(ctx)
	failures = append(failures, err)
	for _, route := range routes {
		argv := append([]string{"ip", "route", "del"}, strings.Fields(route)...)
		failures = append(failures, command.Run(ctx, argv...))
	}
	files, err := os.ReadDir(filepath.Dir(n.Layout.NetNS(switchName)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		failures = append(failures, err)
	}
	for _, file := range files {
		failures = append(failures, removeNetNS(n.Layout.NetNS(file.Name())))
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("remove the network: %w", err)
	}
	return nil
}

// OwnRoutes lists the host's routes that carry our mark, as arguments of "ip route".
func (n Network) OwnRoutes(ctx context.Context) ([]string, error) {
	output, err := command.Output(ctx, "ip", "-4", "-j", "-d", "route", "show", "proto", routeProtocol)
	if err != nil {
		return nil, fmt.Errorf("list our routes: %w", err)
	}
	var routes []struct {
		Type        string `json:"type"`
		Destination string `json:"dst"`
		Metric      int    `json:"metric"`
	}
	if err := json.Unmarshal(output, &routes); err != nil {
		return nil, fmt.Errorf("list our routes: %w", err)
	}
	lines := make([]string, 0, len(routes))
	for _, route := range routes {
		if route.Metric == n.Layout.RouteMetric() {
			lines = append(lines, route.Type+" "+route.Destination+" "+n.mark())
		}
	}
	return lines, nil
}

// InNetNS runs f on a thread that is in the network namespace pinned to file. f must not start goroutines that use
// the network.
func InNetNS(file string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread is never unlocked: it ends with this goroutine, and with it its changed namespace.
		runtime.LockOSThread()
		fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			result <- fmt.Errorf("open network namespace %s: %w", file, err)
			return
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter network namespace %s: %w", file, err)
			return
		}
		result <- f()
	}()
	return <-result
}

// OwnInterfaces lists the interfaces that a cluster has on the host.
func (n Network) OwnInterfaces() []string {
	if _, err := net.InterfaceByName(n.Layout.HostInterface()); err != nil {
		return nil
	}
	return []string{n.Layout.HostInterface()}
}
