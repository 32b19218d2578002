package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/quorate/quorate/test/framework"
)

// measure runs all that the options want. Whatever happens, no namespace of it is left.
func measure(ctx context.Context, o options) (*results, error) {
	log.SetLogger(logr.Discard()) // of the watches; their failures are told by who waits for them
	kube, err := framework.NewKube()
	if err != nil {
		return nil, err
	}
	if kube.Provider != framework.Local {
		return nil, fmt.Errorf("measure: %w", framework.ErrLocalOnly)
	}
	unlock, err := lock(filepath.Join(kube.Root, "bin"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	e, err := kube.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.RequireOperator(ctx); err != nil {
		return nil, err
	}
	if err := removeNamespaces(ctx, e); err != nil {
		return nil, fmt.Errorf("remove what an earlier benchmark left: %w", err)
	}
	r := &results{
		Started: time.Now().UTC(), root: kube.Root, EtcdVersion: o.version, VolumeSize: o.size.String(), TLS: o.tls,
	}
	if o.wants(partUpgrade) {
		r.UpgradedTo = o.upgradeTo
	}
	if r.Machine, err = describeMachine(ctx, e); err != nil {
		return nil, err
	}
	if err := r.measureParts(ctx, e, o); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *results) measureParts(ctx context.Context, e *framework.Environment, o options) error {
	if o.wants(partIssue) {
		costs, err := measureIssue(o)
		if err != nil {
			return fmt.Errorf("issue certificates: %w", err)
		}
		r.Issuing = &costs
	}
	if o.wants(partCreate, partKill, partScale, partRestart, partUpgrade, partRepair) {
		if err := takeTurns(ctx, e, o, r); err != nil {
			return err
		}
	}
	if o.wants(partRest) {
		say("%d clusters of one member and %d of three are created, and watched at rest for %s", o.single, o.triple, o.rest)
		atRest, err := measureRest(ctx, e, o)
		if err != nil {
			return fmt.Errorf("clusters at rest: %w", err)
		}
		r.Rest = &atRest
	}
	return nil
}

// lock keeps a second benchmark away: it would disturb the first one, and take its namespaces for leftovers.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("lock the benchmark: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "bench.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the benchmark: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another benchmark is running (%s is locked): wait until it has ended", file.Name())
	}
	return func() { _ = file.Close() }, nil
}

// takeTurns measures floor and operator one after the other, so that what changes on the machine meets both. Each goes
// first in turn: the end of the one before may still cost something.
func takeTurns(ctx context.Context, e *framework.Environment, o options, r *results) error {
	var floor, operator []life
	for turn := 1; turn <= o.repeats; turn++ {
		for _, hand := range []bool{turn%2 == 1, turn%2 == 0} {
			name, lives := "operator", &operator
			if hand {
				name, lives = "floor", &floor
			}
			l, err := live(ctx, e, o, hand)
			if err != nil {
				return fmt.Errorf("%s, %d of %d: %w", name, turn, o.repeats, err)
			}
			*lives = append(*lives, l)
			say("%d/%d %-8s  %s", turn, o.repeats, name, l)
		}
	}
	r.compare(floor, operator)
	return nil
}

// say tells of the progress; the results go to the standard output.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
