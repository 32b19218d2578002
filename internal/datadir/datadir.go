// Package datadir reads the data directory of an etcd that does not have to run: its write-ahead log and its database.
// What it reads of a member's own data is never changed; only copies are.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/state"
)

// Paths below the data directory (etcd server/storage/datadir).
const (
	walDir   = "member/wal"
	snapDir  = "member/snap"
	database = snapDir + "/db"
)

// Inspect reads who the data belongs to, how far its log goes, and who votes. It opens everything for reading, so it
// may run beside an etcd that has the directory open: without a quorum that one appends nothing. An error means that
// the directory could not be read at all; what is wrong with its content is told in the report.
func Inspect(dir string) (state.DataReport, error) {
	report, err := readLog(filepath.Join(dir, walDir))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return report, err
	case err != nil:
		return state.DataReport{Problem: err.Error()}, nil //nolint:nilerr // what cannot be read is an answer too
	case report.Empty:
		return report, nil
	}
	memberNames(filepath.Join(dir, database), report.Names)
	return report, nil
}

func readLog(dir string) (state.DataReport, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return state.DataReport{}, fmt.Errorf("list the write-ahead log: %w", err)
	}
	if len(files) == 0 {
		if _, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return state.DataReport{}, fmt.Errorf("read the write-ahead log: %w", err)
		}
		return state.DataReport{Empty: true}, nil
	}
	l, err := openLog(dir, wal.OpenForRead)
	if err != nil {
		return state.DataReport{}, err
	}
	defer l.close()
	return l.report()
}

// log is a write-ahead log that was read to its end.
type log struct {
	wal      *wal.WAL
	snapshot *walpb.Snapshot
	metadata []byte
	state    *raftpb.HardState
	entries  []*raftpb.Entry
}

type opener func(*zap.Logger, string, *walpb.Snapshot) (*wal.WAL, error)

// openLog reads the log from its last snapshot that is committed.
func openLog(dir string, open opener) (*log, error) {
	quiet := zap.NewNop()
	snapshots, err := wal.ValidSnapshotEntries(quiet, dir)
	if err != nil {
		return nil, fmt.Errorf("read the snapshots in the write-ahead log: %w", err)
	}
	l := &log{snapshot: &walpb.Snapshot{}}
	if len(snapshots) > 0 {
		l.snapshot = snapshots[len(snapshots)-1]
	}
	if l.wal, err = open(quiet, dir, l.snapshot); err != nil {
		return nil, fmt.Errorf("open the write-ahead log: %w", err)
	}
	if l.metadata, l.state, l.entries, err = l.wal.ReadAll(); err != nil {
		l.close()
		return nil, fmt.Errorf("read the write-ahead log: %w", err)
	}
	return l, nil
}

func (l *log) close() { _ = l.wal.Close() } // it was opened for reading, or written and synced before

// last is the term and the index of the last entry, by which raft compares logs.
func (l *log) last() (term, index uint64) {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].GetTerm(), l.entries[n-1].GetIndex()
	}
	return l.snapshot.GetTerm(), l.snapshot.GetIndex()
}

func (l *log) report() (state.DataReport, error) {
	var of etcdserverpb.Metadata
	if err := proto.Unmarshal(l.metadata, &of); err != nil {
		return state.DataReport{}, fmt.Errorf("read whose write-ahead log it is: %w", err)
	}
	r := state.DataReport{
		ClusterID: of.GetClusterID(), MemberID: of.GetNodeID(), Term: l.state.GetTerm(), Commit: l.state.GetCommit(),
		Names: map[uint64]string{},
	}
	r.LastTerm, r.LastIndex = l.last()
	if l.snapshot.GetIndex() > 0 && l.snapshot.GetConfState() == nil {
		return r, errors.New("its last snapshot does not tell who votes: an etcd before 3.5 wrote it")
	}
	voters, err := l.voters(r.Names)
	r.Voters = voters
	return r, err
}

// voters are those of the snapshot, changed by every entry since, whether it is known to be committed or not: a member
// that is left decides alone, and it takes all of its log for committed. The changes name their members.
func (l *log) voters(names map[uint64]string) ([]uint64, error) {
	votes := map[uint64]bool{}
	for _, id := range l.snapshot.GetConfState().GetVoters() {
		votes[id] = true
	}
	for _, e := range l.entries {
		if e.GetType() != raftpb.EntryConfChange {
			continue
		}
		var change raftpb.ConfChange
		if err := proto.Unmarshal(e.Data, &change); err != nil {
			return nil, fmt.Errorf("read the change of the membership in entry %d: %w", e.GetIndex(), err)
		}
		if len(change.Context) > 0 {
			if err := nameMember(change.Context, names); err != nil {
				return nil, err
			}
		}
		switch change.GetType() {
		case raftpb.ConfChangeAddNode:
			votes[change.GetNodeId()] = true
		case raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddLearnerNode:
			delete(votes, change.GetNodeId())
		case raftpb.ConfChangeUpdateNode:
		}
	}
	var ids []uint64
	for id := range votes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}
