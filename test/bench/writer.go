package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/quorate/quorate/internal/resources"
)

const (
	// pace is the time between two writes.
	pace = 20 * time.Millisecond
	// attemptTimeout is when the client tries a write again that was not answered.
	attemptTimeout = 500 * time.Millisecond
	// giveUpAfter is when a write counts as failed.
	giveUpAfter = 15 * time.Second
)

// writer writes keys, each once and with a value of its own, through one client that knows all members by name, as an
// application would. What fails is tried again, which is safe: a second attempt writes the same.
type writer struct {
	client *clientv3.Client
	prefix string
	stop   context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	record record
}

// record is what a writer has done.
type record struct {
	acknowledged map[string]string
	// failed counts writes that were given up, repeated attempts that had to be made again.
	failed, repeated int
	// longest is the longest time between two acknowledgements.
	longest time.Duration
	last    time.Time
	failure error
}

func (r *record) acknowledge(key, value string, now time.Time) {
	r.longest = max(r.longest, now.Sub(r.last))
	r.acknowledged[key], r.last = value, now
}

// ended is the record of a writer that has stopped now. Nobody knows how the time since the last acknowledgement would
// have gone on, so it counts.
func (r record) ended(now time.Time) record {
	r.longest = max(r.longest, now.Sub(r.last))
	r.acknowledged = maps.Clone(r.acknowledged)
	return r
}

// write starts a writer and returns when its first writes are acknowledged.
func (o *observer) write(ctx context.Context, members int) (*writer, error) {
	c, err := o.clientOfAll(ctx, members)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	w := &writer{
		client: c, prefix: "/bench/" + uuid.NewString() + "/", stop: stop, done: make(chan struct{}),
		record: record{acknowledged: map[string]string{}, last: time.Now()},
	}
	go func() {
		defer close(w.done)
		w.run(running)
	}()
	const first = 20
	err = repeat(ctx, "begin to write", func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.record.acknowledged); n < first {
			return fmt.Errorf("%d writes of %d are acknowledged, the last failure is: %w", n, first, w.record.failure)
		}
		w.record.longest, w.record.repeated = 0, 0 // of the first connections
		return nil
	})
	if err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

// clientOfAll finds the members by their names, as the cluster's DNS would tell them to a Pod.
func (o *observer) clientOfAll(ctx context.Context, members int) (*clientv3.Client, error) {
	show, err := o.credentials(ctx)
	if err != nil {
		return nil, err
	}
	scheme, config := "https://", clientv3.Config{
		Logger: zap.NewNop(), DialOptions: []grpc.DialOption{grpc.WithContextDialer(o.dialByName)},
	}
	if show.plain() {
		scheme = "http://"
	} else if config.TLS, err = show.config(); err != nil {
		return nil, err
	}
	for slot := range members {
		host := resources.PeerHost(o.namespace, clusterName, slot)
		config.Endpoints = append(config.Endpoints, scheme+net.JoinHostPort(host, strconv.Itoa(resources.ClientPort)))
	}
	return clientv3.New(config)
}

func (o *observer) dialByName(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	pods, err := o.list(ctx)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(host, ".")
	for _, p := range pods {
		if p.Name == name && p.Status.PodIP != "" && p.DeletionTimestamp == nil {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.Status.PodIP, port))
		}
	}
	return nil, fmt.Errorf("no Pod %s has an address", name)
}

func (w *writer) run(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.put(ctx, fmt.Sprintf("%s%08d", w.prefix, n))
	}
}

// put tries until the write is acknowledged or given up.
func (w *writer) put(ctx context.Context, key string) {
	begun, value := time.Now(), key+"="
	for {
		err := w.attempt(ctx, key, value)
		now := time.Now()
		w.mu.Lock()
		switch {
		case err == nil:
			w.record.acknowledge(key, value, now)
		case ctx.Err() != nil: // whether the last write took place is not known, and nothing was acknowledged
		default:
			w.record.repeated++
			w.record.failure = err
			if now.Sub(begun) < giveUpAfter {
				w.mu.Unlock()
				pause(ctx, tick)
				continue
			}
			w.record.failed++
		}
		w.mu.Unlock()
		return
	}
}

func (w *writer) attempt(ctx context.Context, key, value string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	_, err := w.client.Put(ctx, key, value)
	return err
}

// end stops the writer and returns what it has done.
func (w *writer) end() record {
	w.mu.Lock()
	r := w.record.ended(time.Now())
	w.mu.Unlock()
	w.stop()
	<-w.done
	_ = w.client.Close() // always reports that its own context has ended
	return r
}
