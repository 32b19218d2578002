package salvage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// readyPath proves that the whole log was applied: it reads linearizably. An alarm about corrupted data must not keep
	// the data from being salvaged.
	readyPath = "/readyz?exclude=data_corruption"

	readyPoll = 100 * time.Millisecond
	stopTime  = time.Minute
	// quotaBytes is above what any database reaches, so that nothing is refused.
	quotaBytes = "17179869184"
)

// url is inside the Pod: nobody else reaches an etcd that takes itself for the whole cluster.
func (j Job) url(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", j.FirstPort+port) }

// replay lets etcd itself take up the copy as the only member, which applies the whole log to the database, and ends
// it.
func (j Job) replay(ctx context.Context) (err error) {
	cmd := exec.Command(j.Etcd, //nolint:gosec // the program of the image that runs members
		"--name=salvage", "--data-dir="+j.copied(), "--force-new-cluster",
		"--listen-client-urls="+j.url(0), "--advertise-client-urls="+j.url(0),
		"--listen-peer-urls="+j.url(1), "--listen-metrics-urls="+j.url(2),
		"--quota-backend-bytes="+quotaBytes, "--log-outputs=stderr",
	)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := ready(ctx, j.url(2)+readyPath, ended); err != nil {
		_ = cmd.Process.Kill() // it may have ended before
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end etcd: %w", err)
	}
	select {
	case err := <-ended:
		// etcd raises the signal again after it has closed its database (client/pkg osutil, HandleInterrupts).
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() &&
			status.Signal() == syscall.SIGTERM {
			return nil
		}
		if err != nil {
			return fmt.Errorf("etcd ended badly: %w", err)
		}
		return nil
	case <-time.After(stopTime):
		_ = cmd.Process.Kill() // it may have ended just now
		return fmt.Errorf("etcd has not ended within %s", stopTime)
	}
}

// ready waits until etcd serves, or has ended.
func ready(ctx context.Context, url string, ended <-chan error) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for etcd: %w", ctx.Err())
		case err := <-ended:
			return errors.Join(errors.New("etcd ended before it had read its log"), err)
		case <-tick.C:
			if answers(ctx, url) {
				return nil
			}
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }() // nothing of it is read
	return resp.StatusCode == http.StatusOK
}

func run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program of the image that runs members
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}
