package sim

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
)

func objectKey(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// liveReader reads the store itself.
type liveReader struct{ store *store }

func (l liveReader) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	return reader(l.store.objects).Get(ctx, key, into, o...)
}

func (l liveReader) List(ctx context.Context, into client.ObjectList, o ...client.ListOption) error {
	return reader(l.store.objects).List(ctx, into, o...)
}

// exclusive lets one call at a time into the model, which is not safe for concurrent use. Reads do not change the
// model, so that the order of concurrent probes does not matter.
type exclusive struct {
	dialer etcd.Dialer
	mu     sync.Mutex
}

func (e *exclusive) Client(t etcd.Target) (etcd.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.dialer.Client(t)
	if err != nil {
		return nil, err
	}
	return exclusiveClient{c, e}, nil
}

func (e *exclusive) Retain(string, []string) {}

// exclusiveClient locks reads only: changes are never concurrent, and a fault in one may let the other operator in.
type exclusiveClient struct {
	etcd.Client
	e *exclusive
}

func (c exclusiveClient) Status(ctx context.Context) (etcd.Status, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.Client.Status(ctx)
}

func (c exclusiveClient) Members(ctx context.Context) (etcd.MemberList, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.Client.Members(ctx)
}

func (c exclusiveClient) Read(ctx context.Context) error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.Client.Read(ctx)
}

func (c exclusiveClient) Alarms(ctx context.Context) ([]etcd.Alarm, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.Client.Alarms(ctx)
}
