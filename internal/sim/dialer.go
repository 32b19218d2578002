package sim

import (
	"context"
	"fmt"
	"net"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
)

func objectKey(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// liveReader is how an operator reads the store itself.
type liveReader struct {
	store *store
	op    *operator
}

func (l liveReader) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	l.op.liveReads++
	return reader(l.store.objects).Get(ctx, key, into, o...)
}

func (l liveReader) List(ctx context.Context, into client.ObjectList, o ...client.ListOption) error {
	l.op.liveReads++
	err := reader(l.store.objects).List(ctx, into, o...)
	l.op.noteCredentials(into)
	return err
}

// exclusive lets one call at a time into the model, which is not safe for concurrent use. Reads do not change the
// model, so that the order of concurrent probes does not matter.
type exclusive struct {
	dialer etcd.Dialer
	world  *world
	op     *operator
	mu     sync.Mutex
}

func (e *exclusive) Client(t etcd.Target) (etcd.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.dialer.Client(t)
	if err != nil {
		return nil, err
	}
	return exclusiveClient{c, e, t}, nil
}

func (e *exclusive) Retain(string, []string) {}

// exclusiveClient locks reads only: changes are never concurrent, and a fault in one may let the other operator in.
type exclusiveClient struct {
	client etcd.Client
	e      *exclusive
	target etcd.Target
}

// read calls the model if the connection can be made.
func read[T any](c exclusiveClient, call func() (T, error)) (T, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.world.reach(c.e.op, c.target); err != nil {
		var none T
		return none, err
	}
	return call()
}

func (c exclusiveClient) change(call func() error) error {
	if err := c.e.world.reach(c.e.op, c.target); err != nil {
		return err
	}
	return call()
}

func (c exclusiveClient) Status(ctx context.Context) (etcd.Status, error) {
	return read(c, func() (etcd.Status, error) { return c.client.Status(ctx) })
}

func (c exclusiveClient) Members(ctx context.Context) (etcd.MemberList, error) {
	return read(c, func() (etcd.MemberList, error) { return c.client.Members(ctx) })
}

func (c exclusiveClient) Read(ctx context.Context) error {
	_, err := read(c, func() (struct{}, error) { return struct{}{}, c.client.Read(ctx) })
	return err
}

func (c exclusiveClient) Alarms(ctx context.Context) ([]etcd.Alarm, error) {
	return read(c, func() ([]etcd.Alarm, error) { return c.client.Alarms(ctx) })
}

func (c exclusiveClient) HashKV(ctx context.Context, revision int64) (etcd.Hash, error) {
	return read(c, func() (etcd.Hash, error) { return c.client.HashKV(ctx, revision) })
}

func (c exclusiveClient) Disarm(ctx context.Context, a etcd.Alarm) error {
	return c.change(func() error { return c.client.Disarm(ctx, a) })
}

func (c exclusiveClient) AddLearner(ctx context.Context, peerURL string) (id uint64, err error) {
	err = c.change(func() error {
		id, err = c.client.AddLearner(ctx, peerURL)
		return err
	})
	return id, err
}

func (c exclusiveClient) Promote(ctx context.Context, id uint64) error {
	return c.change(func() error { return c.client.Promote(ctx, id) })
}

func (c exclusiveClient) Remove(ctx context.Context, id uint64) error {
	return c.change(func() error { return c.client.Remove(ctx, id) })
}

func (c exclusiveClient) MoveLeader(ctx context.Context, to uint64) error {
	return c.change(func() error { return c.client.MoveLeader(ctx, to) })
}

func (c exclusiveClient) ClusterVersion(ctx context.Context) (string, error) {
	return read(c, func() (string, error) { return c.client.ClusterVersion(ctx) })
}

func (c exclusiveClient) EnableDowngrade(ctx context.Context, minor string) error {
	return c.change(func() error { return c.client.EnableDowngrade(ctx, minor) })
}

func (c exclusiveClient) CancelDowngrade(ctx context.Context) error {
	return c.change(func() error { return c.client.CancelDowngrade(ctx) })
}

func (c exclusiveClient) OwnMembers(ctx context.Context) (etcd.MemberList, error) {
	return read(c, func() (etcd.MemberList, error) { return c.client.OwnMembers(ctx) })
}

// readPeers is etcd.ReadPeers of the member at the address.
func (w *world) readPeers(_ context.Context, address string, member uint64) (etcd.PeerReading, error) {
	ip, _, err := net.SplitHostPort(address)
	if err != nil {
		return etcd.PeerReading{}, fmt.Errorf("metrics at %s: %w", address, err)
	}
	for uid, c := range w.kube.containers {
		s, _ := w.etcd.State(string(uid))
		reached := c.started && s.Running && s.MemberID == member && !w.partitioned[c.node] && !w.hidden[uid]
		if w.kube.ips[uid] == ip && reached {
			return w.etcd.ReadPeers(string(uid))
		}
	}
	return etcd.PeerReading{}, fmt.Errorf("metrics at %s: nobody answers", address)
}

func (c exclusiveClient) Compacted(ctx context.Context, revision int64) (bool, error) {
	return read(c, func() (bool, error) { return c.client.Compacted(ctx, revision) })
}

func (c exclusiveClient) Compact(ctx context.Context, revision int64) error {
	return c.begin(etcd.MethodCompact, func() error {
		return c.change(func() error { return c.client.Compact(ctx, revision) })
	})
}

func (c exclusiveClient) Defragment(ctx context.Context, dbSize int64) error {
	return c.begin(etcd.MethodDefragment, func() error {
		return c.change(func() error { return c.client.Defragment(ctx, dbSize) })
	})
}
