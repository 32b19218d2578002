package main

import (
	"context"
	"time"

	"github.com/quorate/quorate/test/framework"
)

// kubectl is a kubectl command in the cluster's namespace, which is named unless it is the default one.
func (d *demo) kubectl(args ...string) []string {
	if d.kube.Provider == framework.Current {
		args = append([]string{"-n", d.cluster.Namespace}, args...)
	}
	return d.kube.Kubectl(args...)
}

func (d *demo) etcdctl(member string, args ...string) []string {
	return d.kubectl(append([]string{"exec", member, "--", "etcdctl"}, args...)...)
}

// command shows and runs a command, shows what it printed, and returns that.
func (d *demo) command(ctx context.Context, argv []string) (string, error) {
	d.say("$ %s", framework.CommandLine(argv))
	out, err := d.kube.Run(ctx, argv...)
	if err == nil {
		d.show(out)
	}
	return out, err
}

// stream is for commands that take long: what they print is shown while they run.
func (d *demo) stream(ctx context.Context, argv []string) error {
	d.say("$ %s", framework.CommandLine(argv))
	kube := *d.kube
	kube.Log = d.screen
	// A make that runs this program must not lead to lines about entering directories.
	_, err := kube.Run(ctx, append([]string{"MAKEFLAGS=--no-print-directory"}, argv...)...)
	return err
}

// next tells what to type next.
func (d *demo) next() {
	d.print("\nThe demo took %s. The cluster stays up; what to type next:", seconds(time.Since(d.start)))
	if d.kube.Provider == framework.Local {
		d.say("export KUBECONFIG=%s", d.kube.Kubeconfig())
	}
	scale := append(d.kubectl("scale", "etcd", d.cluster.Name), "--replicas=3")
	for _, line := range []struct {
		argv  []string
		about string
	}{
		{d.kubectl("get", "etcd,pods,pvc"), "the cluster and what it consists of"},
		{d.kubectl("describe", "etcd", d.cluster.Name), "its status and what happened to it"},
		{d.etcdctl(d.cluster.Name+"-0", "member", "list", "-w", "table"), "the members as etcd lists them"},
		{scale, "shrink it again, one member at a time"},
		{[]string{"make", "kube-down"}, "remove this Kubernetes and all that is in it"},
	} {
		if line.argv[0] == "make" && d.kube.Provider == framework.Current {
			line.argv, line.about = []string{"make", "undeploy"}, "remove the operator; clusters and their data stay"
		}
		d.say("%-62s # %s", framework.CommandLine(line.argv), line.about)
	}
}
