package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/quorate/quorate/internal/datadir"
	"github.com/quorate/quorate/internal/salvage"
)

// terminationLog is what the kubelet shows as the termination message of a container.
const terminationLog = "/dev/termination-log"

// helpers are what the program does in Pods of its own after a quorum was lost, beside being the operator.
var helpers = map[string]func(context.Context, []string) error{ //nolint:gochecknoglobals // a table, never changed
	"inspect-data": inspectData,
	"install":      install,
	"salvage-data": salvageData,
}

// inspectData tells, as its termination message, what a data directory holds.
func inspectData(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("quorate inspect-data", flag.ContinueOnError)
	dir := fs.String("data-dir", "", "data directory of an etcd; it is only read")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	report, err := datadir.Inspect(*dir)
	if err != nil {
		return err
	}
	return tell(report)
}

// salvageData brings the data of a survivor into the data directory of a new cluster.
func salvageData(ctx context.Context, args []string) error {
	var job salvage.Job
	fs := flag.NewFlagSet("quorate salvage-data", flag.ContinueOnError)
	fs.StringVar(&job.QuorumLossID, "quorum-loss-id", "", "the loss that was consented to")
	fs.StringVar(&job.Source, "source", "", "data directory of the survivor; it is only read")
	fs.StringVar(&job.Work, "work", "", "empty directory for a copy")
	fs.StringVar(&job.Target, "target", "", "data directory of the new cluster's member")
	fs.Uint64Var(&job.LastTerm, "last-term", 0, "term of the last entry of the survivor's log")
	fs.Uint64Var(&job.LastIndex, "last-index", 0, "index of the last entry of the survivor's log")
	fs.StringVar(&job.NewName, "new-name", "", "name of the new member")
	fs.StringVar(&job.NewPeerURL, "new-peer-url", "", "peer URL of the new member")
	fs.StringVar(&job.NewToken, "new-token", "", "token of the new cluster")
	fs.StringVar(&job.Etcd, "etcd", "etcd", "the program etcd")
	fs.StringVar(&job.Etcdutl, "etcdutl", "etcdutl", "the program etcdutl")
	fs.IntVar(&job.FirstPort, "first-port", 2379, "first of three ports on the loopback interface")
	for name, into := range map[string]*uint64{
		"cluster-id": &job.ClusterID, "member-id": &job.MemberID, "new-member-id": &job.NewMemberID,
	} {
		fs.Func(name, "etcd ID in hexadecimal", func(s string) (err error) {
			*into, err = strconv.ParseUint(s, 16, 64)
			return err
		})
	}
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	report, err := salvage.Run(ctx, job)
	if err != nil {
		return err
	}
	return tell(report)
}

// install copies the program to where a container of another image finds it.
func install(_ context.Context, args []string) (err error) {
	if len(args) != 1 {
		return errors.New("usage: quorate install PATH")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	in, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	defer func() { _ = in.Close() }()                                           // it was only read
	out, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755) //nolint:gosec // a program
	if err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	return nil
}

func tell(report any) error {
	content, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	fmt.Println(string(content)) // for whoever reads the log
	if err := os.WriteFile(terminationLog, content, 0o600); err != nil {
		return fmt.Errorf("tell the kubelet: %w", err)
	}
	return nil
}
