package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/test/framework"
)

// serviceProbeCommand is how the program calls itself in a node's network: Services and cluster DNS are not reached
// from the host.
const serviceProbeCommand = "service-probe"

// serviceProbe waits for credentials on its standard input, so that it costs nothing before, then reads from etcd at
// the address until that succeeds, and prints the time of it. It returns the exit code.
func serviceProbe(address string) int {
	var show credentials
	if err := json.NewDecoder(os.Stdin).Decode(&show); err != nil {
		fmt.Fprintln(os.Stderr, "read the credentials:", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := dialEtcd(address, show, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = c.Close() }()
	err = repeat(ctx, "read through "+address, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		_, err := c.Get(ctx, "/bench")
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(time.Now().UnixNano())
	return 0
}

// serviceWatch is a service probe that waits.
type serviceWatch struct {
	cmd    *exec.Cmd
	begin  io.WriteCloser
	out    *bufio.Reader
	errors *strings.Builder
}

// watchService starts a probe on a node. It ends with the context.
func watchService(ctx context.Context, kube *framework.Kube, node, address string) (*serviceWatch, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	argv := kube.Tool("exec", node, "--", self, serviceProbeCommand, address)
	cmd := exec.CommandContext(ctx, filepath.Join(kube.Root, argv[0]), argv[1:]...) //nolint:gosec // this program
	cmd.Dir = kube.Root
	w := &serviceWatch{cmd: cmd, errors: &strings.Builder{}}
	cmd.Stderr = w.errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("probe the client Service: %w", err)
	}
	if w.begin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("probe the client Service: %w", err)
	}
	w.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("probe the client Service on %s: %w", node, err)
	}
	return w, nil
}

// usable starts to read through the Service and returns when that succeeded.
func (w *serviceWatch) usable(show credentials) (time.Time, error) {
	err := json.NewEncoder(w.begin).Encode(show)
	line, readErr := w.out.ReadString('\n')
	if err := errors.Join(err, readErr, w.cmd.Wait()); err != nil {
		return time.Time{}, fmt.Errorf("probe the client Service: %w: %s", err, strings.TrimSpace(w.errors.String()))
	}
	nanoseconds, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("probe the client Service: it said %q: %w", line, err)
	}
	return time.Unix(0, nanoseconds), nil
}
