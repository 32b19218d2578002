package datadir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/state"
)

// Buckets and keys of the database (etcd server/storage/schema/bucket.go), and the sizes of its revision keys: main and
// sub revision of 8 bytes each with a separator between, and a mark for a deletion (server/storage/mvcc/revision.go).
const (
	keyBucket      = "key"
	membersBucket  = "members"
	tombstoneBytes = 18
	lockWait       = time.Second
)

// memberNames are the names of the members that the database lists, by ID: from their peer URLs, because a member that
// never ran has no name. None when an etcd has the database open; the names are for people only.
func memberNames(path string, names map[uint64]string) {
	err := view(path, func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(membersBucket))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(_, value []byte) error {
			return nameMember(value, names)
		})
	})
	_ = err // a name that is not known is shown as an ID
}

// nameMember takes the name out of a member as etcd records it, in JSON.
func nameMember(record []byte, names map[uint64]string) error {
	var m struct {
		ID       uint64   `json:"id"`
		PeerURLs []string `json:"peerURLs"`
	}
	if err := json.Unmarshal(record, &m); err != nil {
		return fmt.Errorf("read a member: %w", err)
	}
	for _, peer := range m.PeerURLs {
		if u, err := url.Parse(peer); err == nil {
			names[m.ID], _, _ = strings.Cut(u.Hostname(), ".")
		}
	}
	return nil
}

// Digest sums up the keys that a data directory's database holds at its newest revision.
func Digest(dir string) (state.DataDigest, error) {
	type content = [sha256.Size]byte
	keys, d := map[string]content{}, state.DataDigest{}
	err := view(filepath.Join(dir, database), func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(keyBucket))
		if bucket == nil {
			return fmt.Errorf("there is no bucket %q", keyBucket)
		}
		return bucket.ForEach(func(revision, value []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(value, &kv); err != nil {
				return fmt.Errorf("read a key: %w", err)
			}
			switch {
			case len(kv.Key) == 0: // the mark that a bump of the revision leaves
			case len(revision) >= tombstoneBytes:
				delete(keys, string(kv.Key))
			default:
				keys[string(kv.Key)] = sha256.Sum256(fmt.Appendf(nil, "%q %q %d", kv.Key, kv.Value, kv.Lease))
				d.Revision = max(d.Revision, kv.ModRevision)
			}
			return nil
		})
	})
	if err != nil {
		return d, fmt.Errorf("read the database: %w", err)
	}
	// The sum does not depend on the order of the map.
	var sum content
	for _, c := range keys {
		for i := range sum {
			sum[i] ^= c[i]
		}
	}
	d.Keys, d.Hash = len(keys), hex.EncodeToString(sum[:])
	return d, nil
}

func view(path string, read func(*bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = db.Close() }() // nothing was written
	return db.View(read)
}
