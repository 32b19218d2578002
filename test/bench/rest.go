package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/audit"
)

const (
	// quiet is for how long the operator must have written nothing before clusters count as being at rest. Writes that
	// come less often than this are found while they are watched.
	quiet = 15 * time.Second
	// sampleEvery is about how often the kubelet measures a container.
	sampleEvery = 10 * time.Second
	// restPatience is for many clusters that start at once.
	restPatience = 10 * time.Minute
)

// rest is what the operator uses while nothing happens.
type rest struct {
	Clusters int `json:"clusters"`
	Members  int `json:"members"`
	// Seconds that were watched.
	Seconds float64 `json:"seconds"`
	// AllReady is how many seconds the clusters, created at once, took to be ready.
	AllReady float64 `json:"allReadySeconds"`
	// WorkingSet and RSS of the operator's container, in MiB.
	WorkingSet summary `json:"workingSetMiB"`
	RSS        summary `json:"rssMiB"`
	// CPU is the operator's, in seconds a minute.
	CPU float64 `json:"cpuSecondsPerMinute"`
	// Writes to Kubernetes by the operator, without those to its Lease, for these clusters.
	Writes []string `json:"writes"`
	// WritesElsewhere are for clusters that are not part of the benchmark.
	WritesElsewhere int `json:"writesElsewhere"`
}

func measureRest(ctx context.Context, e *framework.Environment, o options) (r rest, err error) {
	defer func() { err = errors.Join(err, removeNamespaces(ctx, e)) }()
	namespace := newNamespaceName()
	if err := createNamespace(ctx, e, namespace); err != nil {
		return rest{}, err
	}
	r = rest{Clusters: o.single + o.triple, Members: o.single + 3*o.triple}
	start := time.Now()
	if err := createMany(ctx, e, o, namespace); err != nil {
		return rest{}, fmt.Errorf("%w\n\n%s", err, diagnosis(ctx, e, namespace))
	}
	r.AllReady = time.Since(start).Seconds()
	if err := awaitQuiet(ctx, e, namespace, start); err != nil {
		return rest{}, err
	}
	if err := r.watch(ctx, e, o, namespace); err != nil {
		return rest{}, err
	}
	return r, nil
}

// createMany creates all clusters at once and waits until all are ready.
func createMany(ctx context.Context, e *framework.Environment, o options, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	var names []types.NamespacedName
	for i := range o.single + o.triple {
		c := o.cluster(namespace, fmt.Sprintf("rest-%02d", i), 1)
		if i < o.triple {
			*c.Spec.Replicas = 3
		}
		if err := e.Client.Create(ctx, c); err != nil {
			return fmt.Errorf("create EtcdCluster %s: %w", c.Name, err)
		}
		names = append(names, client.ObjectKeyFromObject(c))
	}
	for _, name := range names {
		if _, err := e.AwaitCluster(ctx, name, framework.Ready); err != nil {
			return err
		}
	}
	return nil
}

// awaitQuiet waits until the operator has written nothing for a while. The creation of the clusters must be found in
// the audit log: else it would not show the writes that are looked for either.
func awaitQuiet(ctx context.Context, e *framework.Environment, namespace string, created time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return framework.Eventually(ctx, func(context.Context) string {
		now := time.Now()
		writes, _, err := operatorWrites(e, namespace, created, now)
		switch {
		case err != nil:
			return err.Error()
		case len(writes) == 0:
			return "the audit log has no write of " + framework.OperatorUser + ", although it created the clusters"
		}
		if last := writes[len(writes)-1]; now.Sub(last.Time) < quiet {
			return "the operator still writes: " + last.String()
		}
		return ""
	})
}

// operatorWrites are the operator's writes, without those to its Lease: those that concern the namespace or none of
// the others, and how many concern others.
func operatorWrites(
	e *framework.Environment, namespace string, from, to time.Time,
) (writes []audit.Request, elsewhere int, err error) {
	all, err := audit.Writes(filepath.Join(e.Dir(), "audit.log"), framework.OperatorUser, from, to)
	if err != nil {
		return nil, 0, err
	}
	writes, elsewhere = concerning(all, namespace)
	return writes, elsewhere, nil
}

// concerning sorts writes by whether they belong to the clusters of the namespace or to the operator itself.
func concerning(all []audit.Request, namespace string) (writes []audit.Request, elsewhere int) {
	for _, w := range all {
		switch {
		case w.Lease() && w.Namespace == framework.OperatorNamespace:
		case w.Namespace == namespace || w.Namespace == framework.OperatorNamespace || w.Namespace == "":
			writes = append(writes, w)
		default:
			elsewhere++
		}
	}
	return writes, elsewhere
}

// watch takes samples of the operator's container and counts its writes.
func (r *rest) watch(ctx context.Context, e *framework.Environment, o options, namespace string) error {
	start := time.Now()
	first, err := operatorUsage(ctx, e)
	if err != nil {
		return err
	}
	last := first
	var workingSet, rss []float64
	for time.Since(start) < o.rest {
		pause(ctx, min(sampleEvery, o.rest-time.Since(start)))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if last, err = operatorUsage(ctx, e); err != nil {
			return err
		}
		workingSet = append(workingSet, last.workingSet/(1<<20))
		rss = append(rss, last.rss/(1<<20))
	}
	end := time.Now()
	writes, elsewhere, err := operatorWrites(e, namespace, start, end)
	if err != nil {
		return err
	}
	if r.CPU, err = cpuPerMinute(first, last); err != nil {
		return err
	}
	r.Writes = []string{}
	for _, w := range writes {
		r.Writes = append(r.Writes, w.String())
	}
	r.Seconds, r.WritesElsewhere = end.Sub(start).Seconds(), elsewhere
	r.WorkingSet, r.RSS = summarize(workingSet), summarize(rss)
	return allReady(ctx, e, namespace)
}

// usage of a container at some time.
type usage struct {
	started         string    // the container's start: it counts anew after a restart
	at              time.Time // of the CPU time
	cpu             float64   // seconds since the start
	workingSet, rss float64   // bytes
}

// cpuPerMinute is in seconds. The kubelet's own times are used: it does not measure at the moment of the question.
func cpuPerMinute(first, last usage) (float64, error) {
	switch elapsed := last.at.Sub(first.at).Minutes(); {
	case first.started != last.started:
		return 0, fmt.Errorf("the operator's container was restarted at %s, during the measurement", last.started)
	case elapsed <= 0:
		return 0, errors.New("the kubelet did not measure the operator's container twice: watch for longer (-rest)")
	default:
		return (last.cpu - first.cpu) / elapsed, nil
	}
}

// stats is what is used of the kubelet's summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1).
type stats struct {
	Pods []struct {
		PodRef struct {
			UID types.UID `json:"uid"`
		} `json:"podRef"`
		Containers []struct {
			StartTime string `json:"startTime"`
			CPU       struct {
				Time                 time.Time `json:"time"`
				UsageCoreNanoSeconds float64   `json:"usageCoreNanoSeconds"`
			} `json:"cpu"`
			Memory struct {
				WorkingSetBytes float64 `json:"workingSetBytes"`
				RSSBytes        float64 `json:"rssBytes"`
			} `json:"memory"`
		} `json:"containers"`
	} `json:"pods"`
}

// operatorUsage asks the kubelet of the operator's node.
func operatorUsage(ctx context.Context, e *framework.Environment) (usage, error) {
	pod, err := operatorPod(ctx, e)
	if err != nil {
		return usage{}, err
	}
	raw, err := e.Clientset.CoreV1().RESTClient().Get().Resource("nodes").Name(pod.Spec.NodeName).
		SubResource("proxy", "stats", "summary").DoRaw(ctx)
	if err != nil {
		return usage{}, fmt.Errorf("ask the kubelet of %s for its statistics: %w", pod.Spec.NodeName, err)
	}
	u, err := usageOf(raw, pod)
	if err != nil {
		return usage{}, fmt.Errorf("statistics of the kubelet of %s: %w", pod.Spec.NodeName, err)
	}
	return u, nil
}

func usageOf(summary []byte, pod *corev1.Pod) (usage, error) {
	var s stats
	if err := json.Unmarshal(summary, &s); err != nil {
		return usage{}, err
	}
	for _, p := range s.Pods {
		if p.PodRef.UID != pod.UID || len(p.Containers) != 1 {
			continue
		}
		c := p.Containers[0]
		return usage{
			started: c.StartTime, at: c.CPU.Time, cpu: c.CPU.UsageCoreNanoSeconds / 1e9,
			workingSet: c.Memory.WorkingSetBytes, rss: c.Memory.RSSBytes,
		}, nil
	}
	return usage{}, fmt.Errorf("they lack the container of Pod %s", pod.Name)
}

// allReady makes sure that the clusters were at rest and not broken.
func allReady(ctx context.Context, e *framework.Environment, namespace string) error {
	var list v1alpha1.EtcdClusterList
	if err := e.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list the EtcdClusters: %w", err)
	}
	for i := range list.Items {
		if missing := framework.Ready(&list.Items[i]); missing != "" {
			return fmt.Errorf("EtcdCluster %s at the end of its rest: %s", list.Items[i].Name, missing)
		}
	}
	return nil
}
