package framework

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
)

const (
	// pace is the time between two writes.
	pace = 20 * time.Millisecond
	// putTimeout is when a member that does not answer is given up for another one.
	putTimeout = 1500 * time.Millisecond
	// turns is how many writes go through one member before the next one gets its turn.
	turns = 25
)

// Writer writes keys, each once and with a value that is unique, through one member after the other, and keeps what
// was acknowledged. A write that failed is tried again, with the same value, through another member until it is
// acknowledged: so the longest time between two acknowledgements is how long the cluster was not available.
type Writer struct {
	members *Members
	prefix  string
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	record Record
}

// Record is what a Writer has done.
type Record struct {
	// Acknowledged maps the key to the value of each write that etcd acknowledged.
	Acknowledged map[string]string
	// Failed counts the attempts that were not acknowledged.
	Failed int
	// LastFailure is the error of the last of them.
	LastFailure error
	// LongestGap is the longest time between two acknowledgements, that since the last one included.
	LongestGap time.Duration
	// LastAcknowledged is when the last write was acknowledged.
	LastAcknowledged time.Time
}

// Write starts a Writer below a prefix of its own.
func (m *Members) Write(ctx context.Context) *Writer {
	ctx, stop := context.WithCancel(ctx)
	w := &Writer{
		members: m, prefix: "/writer/" + uuid.NewString() + "/", stop: stop, done: make(chan struct{}),
		record: Record{Acknowledged: map[string]string{}, LastAcknowledged: time.Now()},
	}
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
	return w
}

// Prefix is that of the Writer's keys.
func (w *Writer) Prefix() string { return w.prefix }

// Stop ends the writing and returns what was done. It may be called more than once.
func (w *Writer) Stop() Record {
	w.stop()
	<-w.done
	return w.Record()
}

// Record is what was done so far.
func (w *Writer) Record() Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.record
	r.Acknowledged = maps.Clone(r.Acknowledged)
	return r
}

// MoreAcknowledged waits until so many further writes are acknowledged.
func (w *Writer) MoreAcknowledged(ctx context.Context, n int) error {
	before := len(w.Record().Acknowledged)
	return Eventually(ctx, func(context.Context) string {
		r := w.Record()
		if more := len(r.Acknowledged) - before; more < n {
			return fmt.Sprintf("%d further writes were acknowledged, want %d; last failure: %v", more, n, r.LastFailure)
		}
		return ""
	})
}

func (w *Writer) run(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	var through *clientv3.Client
	for n, turn := 0, 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if through == nil || n%turns == 0 {
			turn++
			through, err = w.next(ctx, turn)
		}
		key := fmt.Sprintf("%s%08d", w.prefix, n)
		if err == nil {
			err = put(ctx, through, key, key+"="+w.prefix)
		}
		if ctx.Err() != nil {
			return // whether the last write took place is not known, and nothing was acknowledged
		}
		if err != nil {
			through = nil
			w.failed(err)
			continue
		}
		w.acknowledged(key, key+"="+w.prefix)
		n++
	}
}

func put(ctx context.Context, c *clientv3.Client, key, value string) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	_, err := c.Put(ctx, key, value)
	return err
}

// next is the member whose turn it is, of those that have an address.
func (w *Writer) next(ctx context.Context, turn int) (*clientv3.Client, error) {
	pods, err := w.members.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var running []corev1.Pod
	for _, p := range pods {
		if p.Status.PodIP != "" && PodReady(&p) && p.DeletionTimestamp == nil {
			running = append(running, p)
		}
	}
	if len(running) == 0 {
		return nil, errors.New("no member is ready")
	}
	return w.members.ClientOf(ctx, &running[turn%len(running)])
}

func (w *Writer) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record.Failed++
	w.record.LastFailure = err
	w.record.LongestGap = max(w.record.LongestGap, time.Since(w.record.LastAcknowledged))
}

func (w *Writer) acknowledged(key, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.record.LongestGap = max(w.record.LongestGap, now.Sub(w.record.LastAcknowledged))
	w.record.Acknowledged[key], w.record.LastAcknowledged = value, now
}
