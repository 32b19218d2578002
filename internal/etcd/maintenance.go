package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// defragmentTimeout and defragmentRate bound a defragmentation: the copy is made at no less than 50 MB a second.
	defragmentTimeout = time.Minute
	defragmentRate    = 50 << 20
	// compactTimeout bounds the wait for the physical end of a compaction: the server deletes 1000 revisions at a time,
	// 10 ms apart (server/storage/mvcc/kvstore_compaction.go), which are 60 million in this time.
	compactTimeout = 10 * time.Minute
)

// Maintenance are the calls of a Client about the size of the database.
type Maintenance interface {
	// Compacted tells whether nothing older than the revision can be read any more.
	Compacted(ctx context.Context, revision int64) (bool, error)
	// Compact drops, on all members and for ever, what was overwritten or deleted before the revision, and returns when
	// the asked member has freed the space. It may take minutes. A revision that was compacted before is no error.
	Compact(ctx context.Context, revision int64) error
	// Defragment rewrites the asked member's database, of dbSize bytes, without its unused space. It may take minutes, in
	// which the member answers nothing. When the context ends first, the member goes on.
	Defragment(ctx context.Context, dbSize int64) error
}

// Compacted implements Client. The revision of a compaction itself can still be read, the one before cannot
// (server/storage/mvcc/kvstore_txn.go, rangeKeys).
func (c *memberClient) Compacted(ctx context.Context, revision int64) (bool, error) {
	if revision <= 1 {
		return true, nil
	}
	ctx, cancel := c.begin(ctx, readTimeout)
	defer cancel()
	_, err := c.etcd.Get(ctx, "health", clientv3.WithCountOnly(), clientv3.WithRev(revision-1))
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, rpctypes.ErrCompacted):
		return true, nil
	default:
		return false, c.failed("read a revision", classify(err))
	}
}

// Compact implements Client.
func (c *memberClient) Compact(ctx context.Context, revision int64) error {
	ctx, cancel := c.begin(ctx, compactTimeout)
	defer cancel()
	_, err := c.etcd.Compact(ctx, revision, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return c.failed(fmt.Sprintf("compact to revision %d", revision), classify(err))
	}
	return nil
}

// Defragment implements Client.
func (c *memberClient) Defragment(ctx context.Context, dbSize int64) error {
	ctx, cancel := c.begin(ctx, defragmentTimeout+time.Duration(dbSize/defragmentRate)*time.Second)
	defer cancel()
	if _, err := c.status.Defragment(ctx, &etcdserverpb.DefragmentRequest{}); err != nil {
		return c.failed("defragment", classify(err))
	}
	return nil
}
