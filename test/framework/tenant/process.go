package tenant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// process is a program that runs in a node's network.
type process struct {
	name string
	cmd  *exec.Cmd
	// log is the file of its output.
	log string
	// done is closed when it has ended.
	done chan struct{}
}

// startProcess starts argv in the directory dir. What it says is appended to the log, but for its standard output when
// that goes elsewhere.
func startProcess(name, log, dir string, stdout *os.File, argv []string) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = output.Close() }()
	path := argv[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	p := &process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(path, argv[1:]...) //nolint:gosec // a command of this package
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, output, output
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	started := make(chan error)
	go func() {
		// The program is killed when the thread ends that started it, see place.command: this one waits for it.
		runtime.LockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its state
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// ended tells why the process is no longer there; nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%s): %s", p.name, p.cmd.ProcessState, p.tail(10))
	default:
		return nil
	}
}

// stop asks the process to end and waits; when the context ends it is killed.
func (p *process) stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// connectionNoise is what each of the API server's hundred clients of etcd logs while an endpoint is away.
const connectionNoise = "grpc: addrConn.createTransport failed to connect"

// tail is the end of the log, without lines about endpoints that are away.
func (p *process) tail(lines int) string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(strings.Split(string(bytes.TrimSpace(content)), "\n"), func(line string) bool {
		return strings.Contains(line, connectionNoise)
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
