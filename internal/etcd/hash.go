package etcd

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// hashTimeout bounds the hash of all data of a member: it reads the whole database, of 8 GiB and more, perhaps from a
// slow disk.
const hashTimeout = 10 * time.Minute

// MethodHashKV is the method of Client that reads a member's own data.
const MethodHashKV Method = "HashKV"

// Hash of a member's data. Hashes compare only when Revision and Compacted are equal.
type Hash struct {
	// Value is the hash over the keys up to Revision, without those that were compacted away up to Compacted.
	Value     uint32
	Revision  int64
	Compacted int64
}

// HashKV implements Client.
func (c *memberClient) HashKV(ctx context.Context, revision int64) (Hash, error) {
	ctx, cancel := c.begin(ctx, hashTimeout)
	defer cancel()
	// clientv3's own dials for every call.
	r, err := c.status.HashKV(ctx, &etcdserverpb.HashKVRequest{Revision: revision})
	if err != nil {
		return Hash{}, c.failed("hash", classify(err))
	}
	return Hash{Value: r.Hash, Revision: revision, Compacted: r.CompactRevision}, nil
}

// HashKV of the model: all members that have applied as much have the same.
func (c modelClient) HashKV(ctx context.Context, revision int64) (h Hash, err error) {
	err = c.call(ctx, Call{Method: MethodHashKV}, func(p *process) error {
		if revision > p.disk.view.store.revision() {
			return errFutureRevision
		}
		h = Hash{Value: uint32(revision), Revision: revision, Compacted: p.disk.view.store.compacted}
		if c.model.corrupt[p.disk] {
			h.Value++
		}
		return nil
	})
	if err != nil {
		return Hash{}, err
	}
	return h, nil
}

// Corrupt has the data of the member in the Pod differ from the others', which nothing notices by itself.
func (m *Model) Corrupt(podUID string) {
	if p := m.pods[podUID]; p != nil && p.disk != nil {
		m.corrupt[p.disk] = true
	}
}
