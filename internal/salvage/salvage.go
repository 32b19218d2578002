// Package salvage brings the data of the member that is left of a lost quorum into a data directory of a new cluster.
// It works on a copy: the member's own directory is only read. It runs beside etcd and etcdutl of the version that
// wrote the data, in a Pod of its own.
package salvage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/internal/datadir"
	"github.com/quorate/quorate/internal/state"
)

// revisionBump is how much the revision grows, so that no revision that a client has seen of the lost cluster, also of
// writes that are lost, is ever used again: etcd's own advice for a week at 1500 writes a second.
const revisionBump = "1000000000"

// Job is what to salvage, and as what.
type Job struct {
	// QuorumLossID of the consent.
	QuorumLossID string
	// Source is the data directory of the survivor, Work an empty directory for the copy, and Target the new data
	// directory.
	Source, Work, Target string
	// ClusterID, MemberID, LastTerm and LastIndex that the consent speaks of: another log is not touched.
	ClusterID, MemberID uint64
	LastTerm, LastIndex uint64
	// NewName, NewPeerURL, NewToken and NewMemberID of the only member of the new cluster.
	NewName, NewPeerURL, NewToken string
	NewMemberID                   uint64
	// Etcd and Etcdutl are the programs.
	Etcd, Etcdutl string
	// FirstPort of three on the loopback interface, for etcd's clients, peers and metrics.
	FirstPort int
}

// Run does the job, and tells what it has found. It may be run again after it was stopped at any point: it begins anew
// until it has finished, and then only repeats what it told.
func Run(ctx context.Context, job Job) (state.SalvageReport, error) {
	report, done, err := job.finished()
	if done || err != nil {
		return report, err
	}
	half := job.Target + ".half"
	// Invariant: the target's volume was made for this salvage, and its member starts only after the mark was written.
	for _, dir := range []string{half, job.Target, job.copied()} {
		if err := os.RemoveAll(dir); err != nil {
			return report, fmt.Errorf("clear what a former attempt has left: %w", err)
		}
	}
	if err := job.check(); err != nil {
		return report, err
	}
	if err := datadir.Copy(job.Source, job.copied()); err != nil {
		return report, err
	}
	if err := datadir.CommitAll(job.copied()); err != nil {
		return report, err
	}
	if err := job.replay(ctx); err != nil {
		return report, err
	}
	found, err := datadir.Digest(job.copied())
	if err != nil {
		return report, err
	}
	if err := job.restore(ctx, half); err != nil {
		return report, err
	}
	if err := job.verify(half, found); err != nil {
		return report, err
	}
	report = state.SalvageReport{QuorumLossID: job.QuorumLossID, Digest: found}
	return report, job.finish(half, report)
}

func (j Job) copied() string { return filepath.Join(j.Work, "data") }

// mark is the file beside the target that tells that it is complete.
func (j Job) mark() string { return j.Target + ".salvaged" }

func (j Job) finished() (state.SalvageReport, bool, error) {
	var report state.SalvageReport
	content, err := os.ReadFile(j.mark())
	if errors.Is(err, fs.ErrNotExist) {
		return report, false, nil
	}
	if err != nil {
		return report, false, fmt.Errorf("read what was done before: %w", err)
	}
	if err := json.Unmarshal(content, &report); err != nil || report.QuorumLossID != j.QuorumLossID {
		return report, false, fmt.Errorf("%s is not of this recovery", j.mark())
	}
	return report, true, nil
}

// check reads the source once more: it must be what the user has agreed to.
func (j Job) check() error {
	r, err := datadir.Inspect(j.Source)
	switch {
	case err != nil:
		return fmt.Errorf("read the data: %w", err)
	case r.Problem != "":
		return fmt.Errorf("read the data: %s", r.Problem)
	case r.ClusterID != j.ClusterID || r.MemberID != j.MemberID:
		return fmt.Errorf("the data is of member %x of cluster %x, want %x of %x",
			r.MemberID, r.ClusterID, j.MemberID, j.ClusterID)
	case r.LastTerm != j.LastTerm || r.LastIndex != j.LastIndex:
		return fmt.Errorf("the log ends with term %d, index %d; agreed was to term %d, index %d",
			r.LastTerm, r.LastIndex, j.LastTerm, j.LastIndex)
	}
	return nil
}

// restore writes the data directory of the new cluster: another cluster ID, another member ID, nobody else in it.
func (j Job) restore(ctx context.Context, to string) error {
	return run(ctx, j.Etcdutl, "snapshot", "restore", filepath.Join(j.copied(), "member", "snap", "db"),
		"--skip-hash-check", // the file comes from a data directory, whose files have no hash
		"--data-dir="+to,
		"--name="+j.NewName,
		"--initial-cluster="+j.NewName+"="+j.NewPeerURL,
		"--initial-advertise-peer-urls="+j.NewPeerURL,
		"--initial-cluster-token="+j.NewToken,
		"--bump-revision="+revisionBump,
		"--mark-compacted",
	)
}

// verify compares what was restored with what was found, and with the identity that it is to have.
func (j Job) verify(dir string, found state.DataDigest) error {
	restored, err := datadir.Digest(dir)
	if err != nil {
		return err
	}
	if restored.Keys != found.Keys || restored.Hash != found.Hash {
		return fmt.Errorf("what was restored differs from what was found: %d keys (%s), want %d (%s)",
			restored.Keys, restored.Hash, found.Keys, found.Hash)
	}
	r, err := datadir.Inspect(dir)
	if err != nil || r.Problem != "" {
		return errors.Join(err, fmt.Errorf("read what was restored: %s", r.Problem))
	}
	if r.MemberID != j.NewMemberID || r.ClusterID == j.ClusterID || len(r.Voters) != 1 || r.Voters[0] != j.NewMemberID {
		return fmt.Errorf("what was restored is member %x of %x in cluster %x, want only %x, in another cluster",
			r.MemberID, r.Voters, r.ClusterID, j.NewMemberID)
	}
	return nil
}

// finish puts the target in place, and the mark beside it last.
func (j Job) finish(half string, report state.SalvageReport) error {
	if err := syncTree(half); err != nil {
		return err
	}
	if err := os.Rename(half, j.Target); err != nil {
		return fmt.Errorf("put the data in place: %w", err)
	}
	content, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(j.mark()+".half", content, 0o600); err != nil {
		return fmt.Errorf("write the mark: %w", err)
	}
	if err := syncFile(j.mark() + ".half"); err != nil {
		return err
	}
	if err := os.Rename(j.mark()+".half", j.mark()); err != nil {
		return fmt.Errorf("write the mark: %w", err)
	}
	return syncFile(filepath.Dir(j.Target))
}

func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("sync the data: %w", err)
		}
		return syncFile(path)
	})
}

// syncFile makes a file, or the entries of a directory, survive a crash of the node.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
