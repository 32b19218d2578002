package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

const (
	sample = "config/samples/etcdcluster_demo.yaml"
	// localImage is the Makefile's default for IMG. No registry has it.
	localImage = "quorate.dev/quorate:dev"
	key        = "/greeting"
	// patience is how long the cluster may take to become as it should be.
	patience = 3 * time.Minute
)

// demo is the sample cluster and what acts on it.
type demo struct {
	*screen
	kube    *framework.Kube
	env     *framework.Environment
	members *framework.Members
	cluster types.NamespacedName
	// created is set when there may be a cluster to tell about.
	created bool
	// value is written at the beginning and must be there until the end.
	value string
}

func run(ctx context.Context) error {
	kube, err := framework.NewKube()
	if err != nil {
		return err
	}
	d := &demo{
		screen:  &screen{out: os.Stdout, start: time.Now()},
		kube:    kube,
		cluster: types.NamespacedName{Namespace: "default", Name: "demo"},
		value:   "written at " + time.Now().UTC().Format("15:04:05.000"),
	}
	d.print("Quorate: etcd clusters on Kubernetes that stay quorate.")
	d.print("Each command below can be typed again in %s.", kube.Root)
	err = d.play(ctx)
	if d.members != nil {
		d.members.Close()
	}
	if err != nil && d.created {
		later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return fmt.Errorf("%w\n\n%s", err, d.env.Diagnose(later, d.cluster.Namespace))
	}
	return err
}

func (d *demo) play(ctx context.Context) error {
	for _, part := range []struct {
		explanation string
		do          func(context.Context) error
	}{
		{"A Kubernetes to run on.", d.kubernetes},
		{"The operator is compiled and packed into an image, and the nodes get it.", d.image},
		{"The operator and its API are installed.", d.deploy},
		{"A cluster of three members is created: all of them start at once and form a quorum.", d.create},
		{"A key is written through one member and read through another.", d.writeAndRead},
		{"All keys, as any etcd client lists them.", d.list},
		{"The cluster grows to five members: each joins as a learner and is promoted once it is in sync.", d.grow},
		{"The leader is killed: the others elect a new one, and its Pod comes back on its volume.", d.killLeader},
		{"The key is still there, in every member.", d.readEverywhere},
	} {
		if err := d.step(part.explanation, func() error { return part.do(ctx) }); err != nil {
			return err
		}
	}
	d.next()
	return nil
}

// kubernetes starts a Kubernetes unless one is there.
func (d *demo) kubernetes(ctx context.Context) error {
	if d.kube.Provider == framework.Local {
		if err := d.stream(ctx, []string{"make", "kube-up"}); err != nil {
			return err
		}
	}
	env, err := d.kube.Connect(ctx)
	if err != nil {
		return err
	}
	d.env, d.members = env, env.Members(d.cluster)
	_, err = d.command(ctx, d.kube.Kubectl("get", "nodes"))
	return err
}

// image gives the image to the nodes. Those of a Kubernetes in a cloud pull it from a registry.
func (d *demo) image(ctx context.Context) error {
	if d.kube.Provider == framework.Current {
		current, err := d.command(ctx, d.kube.Kubectl("config", "current-context"))
		if err != nil {
			return err
		}
		if !strings.HasPrefix(current, "kind-") {
			d.say("this is no kind cluster: its nodes pull %s from a registry", os.Getenv("IMG"))
			return d.imagePushed()
		}
	}
	return d.stream(ctx, []string{"make", "load"})
}

func (d *demo) imagePushed() error {
	if img := os.Getenv("IMG"); img == "" || img == localImage {
		return errors.New("IMG names no image of a registry: push the operator's image to one that the nodes can pull " +
			"from, and set IMG to its reference (\"make image\" builds it)")
	}
	return nil
}

func (d *demo) deploy(ctx context.Context) error { return d.stream(ctx, []string{"make", "deploy"}) }

func (d *demo) create(ctx context.Context) error {
	err := d.env.Client.Get(ctx, d.cluster, &v1alpha1.EtcdCluster{})
	switch {
	case err == nil:
		d.say("%s is there from an earlier run: the demo goes on with it and its data. Instead of becoming quorate it only "+
			"returns to three members", d.cluster.Name)
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("look for cluster %s: %w", d.cluster, err)
	}
	d.created = true
	if _, err := d.command(ctx, d.kubectl("apply", "-f", sample)); err != nil {
		return err
	}
	if err := d.await(ctx, framework.Ready); err != nil {
		return err
	}
	pods := d.kubectl("get", "pods", "-l", resources.LabelCluster+"="+d.cluster.Name, "-o", "wide")
	if _, err := d.command(ctx, pods); err != nil {
		return err
	}
	_, err = d.command(ctx, d.kubectl("get", "etcd", d.cluster.Name))
	return err
}

func (d *demo) writeAndRead(ctx context.Context) error {
	names, _, err := d.names(ctx)
	if err != nil {
		return err
	}
	if _, err := d.command(ctx, d.etcdctl(names[0], "put", key, d.value)); err != nil {
		return err
	}
	return d.read(ctx, names[1])
}

func (d *demo) list(ctx context.Context) error {
	names, _, err := d.names(ctx)
	if err != nil {
		return err
	}
	out, err := d.command(ctx, d.etcdctl(names[0], "get", "/", "--prefix", "--keys-only"))
	if err == nil && !strings.Contains(out, key) {
		return fmt.Errorf("%s is not among the keys", key)
	}
	return err
}

func (d *demo) grow(ctx context.Context) error {
	if _, err := d.command(ctx, d.kubectl("scale", "etcd", d.cluster.Name, "--replicas=5")); err != nil {
		return err
	}
	return d.await(ctx, framework.Ready)
}

func (d *demo) killLeader(ctx context.Context) error {
	_, leader, err := d.names(ctx)
	if err != nil {
		return err
	}
	d.say("%s leads", leader)
	start := time.Now()
	if _, err := d.command(ctx, d.kubectl("delete", "pod", leader, "--grace-period=0", "--force")); err != nil {
		return err
	}
	if err := d.await(ctx, serving(leader)); err != nil {
		return err
	}
	_, successor, err := d.names(ctx)
	if err != nil {
		return err
	}
	d.say("%s leads now, and the cluster serves: %s after the kill", successor, seconds(time.Since(start)))
	if err := d.read(ctx, successor); err != nil {
		return err
	}
	if err := d.await(ctx, framework.Ready); err != nil {
		return err
	}
	d.say("all five members are healthy again %s after the kill", seconds(time.Since(start)))
	return nil
}

func (d *demo) readEverywhere(ctx context.Context) error {
	names, _, err := d.names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.read(ctx, name); err != nil {
			return err
		}
	}
	_, err = d.command(ctx, d.kubectl("get", "etcd", d.cluster.Name))
	return err
}

// names are the members and the leader as the status has them.
func (d *demo) names(ctx context.Context) (members []string, leader string, err error) {
	c := &v1alpha1.EtcdCluster{}
	if err := d.env.Client.Get(ctx, d.cluster, c); err != nil {
		return nil, "", fmt.Errorf("read the status of %s: %w", d.cluster, err)
	}
	for _, m := range c.Status.Members {
		members = append(members, m.Name)
	}
	leader = ptr.Deref(c.Status.Leader, "")
	if len(members) < 3 || leader == "" {
		return nil, "", errors.New("the status lacks members or a leader: " + framework.ShortStatus(c))
	}
	return members, leader, nil
}

// read reads the key through a member and compares it with what was written.
func (d *demo) read(ctx context.Context, member string) error {
	out, err := d.command(ctx, d.etcdctl(member, "get", key, "--print-value-only"))
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(out); got != d.value {
		return fmt.Errorf("%s has %q at %s, but %q was written", member, got, key, d.value)
	}
	return nil
}
