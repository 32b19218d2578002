package framework

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/resources"
)

// Watch follows the keys below a prefix through one connection for as long as that holds. Then it goes on through
// another member, after the last revision that it saw. The cluster must speak TLS.
type Watch struct {
	members *Members
	prefix  string
	stop    context.CancelFunc
	done    chan struct{}
	opened  chan struct{}
	once    sync.Once

	mu          sync.Mutex
	seen        map[string]string
	connections int
	revision    int64
	faults      []error
}

// Watch starts a Watch and returns when etcd has confirmed it.
func (m *Members) Watch(ctx context.Context, prefix string) (*Watch, error) {
	running, stop := context.WithCancel(ctx)
	w := &Watch{
		members: m, prefix: prefix, stop: stop, done: make(chan struct{}), opened: make(chan struct{}),
		seen: map[string]string{},
	}
	go func() {
		defer close(w.done)
		w.run(running)
	}()
	select {
	case <-w.opened:
		return w, nil
	case <-ctx.Done():
		w.Stop()
		return nil, fmt.Errorf("start a watch: %w", errors.Join(append(w.faults, ctx.Err())...))
	}
}

// Stop ends the watch. It may be called more than once.
func (w *Watch) Stop() {
	w.stop()
	<-w.done
}

// Connections is how many connections the watch has needed so far.
func (w *Watch) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections
}

// Saw waits until the watch has seen each of the writes. It fails when an event came twice or out of order, of writes
// that change one key each.
func (w *Watch) Saw(ctx context.Context, acknowledged map[string]string) error {
	return Eventually(ctx, func(context.Context) string {
		w.mu.Lock()
		seen := maps.Clone(w.seen)
		fault := errors.Join(w.faults...)
		w.mu.Unlock()
		if lost := compare(acknowledged, seen); lost != "" {
			return fmt.Sprintf("the watch has not seen all events: %s; faults: %v", lost, fault)
		}
		if fault != nil {
			return "the watch saw all events, but: " + fault.Error()
		}
		return ""
	})
}

func (w *Watch) run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		if err := w.follow(ctx, turn); err != nil && ctx.Err() == nil {
			w.fault(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// follow watches through one connection until that breaks.
func (w *Watch) follow(ctx context.Context, turn int) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	pods, err := w.members.ready(ctx)
	if err != nil || len(pods) == 0 {
		return nil // there is no member yet, or no more, to watch through: the next turn looks again
	}
	etcd, closed, err := w.connect(ctx, &pods[turn%len(pods)], end)
	if err != nil {
		return nil // a member or a Secret that is being replaced: the next turn takes another one
	}
	defer closed()
	options := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithCreatedNotify()}
	if w.revision > 0 {
		options = append(options, clientv3.WithRev(w.revision+1))
	}
	for response := range etcd.Watch(clientv3.WithRequireLeader(ctx), w.prefix, options...) {
		if response.CompactRevision != 0 {
			return fmt.Errorf("revision %d is compacted", w.revision+1)
		}
		if response.Created {
			w.once.Do(func() { w.revision = response.Header.Revision; close(w.opened) })
		}
		if err := w.note(response.Events); err != nil {
			return err
		}
	}
	return nil
}

// connect opens a connection to the member. A second one is refused and ends the watch, so that the next connection
// goes to another member and is counted.
func (w *Watch) connect(
	ctx context.Context, pod *corev1.Pod, end func(),
) (etcd *clientv3.Client, closed func(), err error) {
	m := w.members
	id, err := m.env.IdentityIn(ctx, types.NamespacedName{
		Namespace: m.cluster.Namespace, Name: resources.ClientSecretName(m.cluster.Name),
	})
	if err != nil {
		return nil, nil, err
	}
	address, stop, err := m.env.Reach(ctx, pod, resources.ClientPort)
	if err != nil {
		return nil, nil, err
	}
	var first sync.Once
	slot, _ := resources.ParseSlot(m.cluster.Name, pod.Name)
	host := resources.PeerHost(m.cluster.Namespace, m.cluster.Name, slot)
	etcd, err = id.connect(ctx, host, func(ctx context.Context) (conn net.Conn, err error) {
		err = errors.New("the connection has broken")
		first.Do(func() { conn, err = dial(ctx, address) })
		if err != nil {
			end()
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.connections++
		return conn, nil
	})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return etcd, func() { _ = etcd.Close(); stop() }, nil
}

func (w *Watch) note(events []*clientv3.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		key, revision := string(event.Kv.Key), event.Kv.ModRevision
		if revision <= w.revision {
			return fmt.Errorf("the event of %s at revision %d came after that of revision %d", key, revision, w.revision)
		}
		w.seen[key], w.revision = string(event.Kv.Value), revision
	}
	return nil
}

func (w *Watch) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, err)
}
