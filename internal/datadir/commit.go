package datadir

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// CommitAll marks the whole log as committed. Only for the copy of a log that is the newest of all that are left: a
// member with that log would win their election and commit all of it. Without this, etcd's --force-new-cluster drops
// what the member had not been told to be committed yet, also when a client had been (server/etcdserver/bootstrap.go,
// bootstrapWALFromSnapshot). One that is a learner at the end of its log is promoted there: etcd removes all others,
// and raft ends when no voter is left.
func CommitAll(dir string) error {
	path := filepath.Join(dir, walDir)
	l, err := openLog(path, wal.Open)
	if err != nil && wal.Repair(zap.NewNop(), path) { // a torn last record, as etcd repairs it at its start
		l, err = openLog(path, wal.Open)
	}
	if err != nil {
		return err
	}
	defer l.close()
	promotion, err := l.promotion()
	if err != nil {
		return err
	}
	_, last := l.last()
	last += uint64(len(promotion))
	if last <= l.state.GetCommit() {
		return nil
	}
	l.state.Commit = &last
	if err := l.wal.Save(l.state, promotion); err != nil {
		return fmt.Errorf("write to the copy of the write-ahead log: %w", err)
	}
	if err := l.wal.Sync(); err != nil {
		return fmt.Errorf("write the copy of the write-ahead log: %w", err)
	}
	return nil
}

// promotion is the entry after the last that makes a voter of the log's own member; none when it is one.
func (l *log) promotion() ([]*raftpb.Entry, error) {
	r, err := l.report()
	if err != nil || slices.Contains(r.Voters, r.MemberID) {
		return nil, err
	}
	// As etcd promotes (server/etcdserver/server.go, promoteMember).
	context, err := json.Marshal(map[string]any{"id": r.MemberID, "isPromote": true})
	if err != nil {
		return nil, fmt.Errorf("encode the promotion: %w", err)
	}
	change, err := proto.Marshal(&raftpb.ConfChange{
		Type: raftpb.ConfChangeAddNode.Enum(), NodeId: &r.MemberID, Context: context,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the promotion: %w", err)
	}
	term, index := r.LastTerm, r.LastIndex+1
	return []*raftpb.Entry{{Type: raftpb.EntryConfChange.Enum(), Term: &term, Index: &index, Data: change}}, nil
}
