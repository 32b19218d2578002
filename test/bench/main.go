// Command bench measures the operator on a real Kubernetes against the floor: the same Pods, volumes and certificates,
// written by hand. Floor and operator take turns in one run and are observed by the same code, through etcd itself.
//
//	make bench                                        all of it, with Kubernetes and operator brought up before
//	go run ./test/bench -repeats 2 -only create       on a Kubernetes with the operator that is up
//	go run ./test/bench -tls=false                    both sides in plain text
//
// It needs the local Kubernetes, since it speaks to Pods directly and reads the API server's audit log. Nothing else
// should run on the machine meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// What can be measured.
const (
	partIssue   = "issue"
	partCreate  = "create"
	partKill    = "kill"
	partScale   = "scale"
	partRestart = "restart"
	partUpgrade = "upgrade"
	partRepair  = "repair"
	partRest    = "rest"
)

// parts are all of them.
func parts() []string {
	return []string{
		partIssue, partCreate, partKill, partScale, partRestart, partUpgrade, partRepair, partRest,
	}
}

type options struct {
	repeats int
	parts   []string
	tls     bool
	version string
	// upgradeTo is the version to which clusters are upgraded.
	upgradeTo string
	size      resource.Quantity
	rest      time.Duration
	single    int
	triple    int
	json      string
	enforce   bool
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == serviceProbeCommand {
		os.Exit(serviceProbe(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if err := r.write(o.json); err != nil {
		return err
	}
	if missed := r.missed(); o.enforce && len(missed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	}
	return nil
}

func parse(args []string) (options, error) {
	o := options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.repeats, "repeats", 5, "how often floor and operator are measured")
	only := fs.String("only", strings.Join(parts(), ","), "comma-separated parts to measure")
	fs.BoolVar(&o.tls, "tls", true, "run the clusters with TLS; false runs floor and operator in plain text")
	fs.StringVar(&o.version, "version", "3.6.16", "etcd version, of 3.6 or 3.7")
	fs.StringVar(&o.upgradeTo, "upgrade-to", "3.7.3", "etcd version to upgrade to")
	size := fs.String("size", "1Gi", "size of each volume")
	fs.DurationVar(&o.rest, "rest", 5*time.Minute, "how long clusters at rest are watched")
	fs.IntVar(&o.single, "single", 17, "clusters of one member at rest")
	fs.IntVar(&o.triple, "triple", 3, "clusters of three members at rest")
	fs.StringVar(&o.json, "json", "bin/bench.json", "file for the results, below the checkout's top directory")
	fs.BoolVar(&o.enforce, "enforce", false, "exit with an error when a target is missed")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.parts = strings.Split(*only, ",")
	var err error
	if o.size, err = resource.ParseQuantity(*size); err != nil {
		return o, fmt.Errorf("-size %q: %w", *size, err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q: bench takes flags only", fs.Arg(0))
	}
	return o, o.check()
}

// check refuses what cannot be measured.
func (o options) check() (err error) {
	for _, part := range o.parts {
		if !slices.Contains(parts(), part) {
			return fmt.Errorf("-only: %q is none of %s", part, strings.Join(parts(), ", "))
		}
	}
	switch {
	case o.repeats < 1:
		err = fmt.Errorf("-repeats is %d: at least 1 is needed", o.repeats)
	case !regexp.MustCompile(`^3\.[67]\.\d+$`).MatchString(o.version):
		err = fmt.Errorf("-version is %q: give a full release of 3.6 or 3.7, such as 3.6.16", o.version)
	case o.size.Cmp(resource.MustParse("300Mi")) < 0:
		err = fmt.Errorf("-size is %s: XFS needs at least 300Mi", o.size.String())
	case o.rest <= 0:
		err = fmt.Errorf("-rest is %s: give a positive duration, or leave %s out of -only", o.rest, partRest)
	case o.single < 0 || o.triple < 0 || o.single+o.triple == 0:
		err = fmt.Errorf("-single is %d and -triple %d: at least one cluster is needed", o.single, o.triple)
	case o.wants(partUpgrade):
		err = checkUpgrade(o.version, o.upgradeTo)
	}
	return err
}

func (o options) wants(parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(o.parts, p) })
}

// cluster is the EtcdCluster that is measured. Its volumes go with it.
func (o options) cluster(namespace, name string, replicas int) *v1alpha1.EtcdCluster {
	c := &v1alpha1.EtcdCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.EtcdClusterSpec{
			Replicas: new(int32(replicas)),
			Version:  &o.version,
			Storage:  v1alpha1.StorageSpec{Size: &o.size, ReclaimPolicy: new(v1alpha1.ReclaimDelete)},
		},
	}
	if !o.tls {
		c.Spec.TLS = &v1alpha1.TLSSpec{Mode: new(v1alpha1.TLSDisabled)}
	}
	return c
}

// credentials of a client of that cluster.
func (o options) credentials(secrets client.Reader, namespace string) credentialSource {
	if !o.tls {
		return plainText
	}
	return published(secrets, client.ObjectKey{Namespace: namespace, Name: resources.ClientSecretName(clusterName)})
}

// manifest is the same cluster by hand, with certificates that are made now.
func (o options) manifest(namespace, name string, now time.Time) (manifest, error) {
	c := o.cluster(namespace, name, 1)
	m := manifest{
		Namespace: namespace, Cluster: name, Version: o.version, Size: o.size.String(),
		Quota: resources.QuotaBackendBytes(c, o.size.Value()),
	}
	if !o.tls {
		return m, nil
	}
	var err error
	m.Certificates, err = prepareCertificates(c, now)
	return m, err
}
