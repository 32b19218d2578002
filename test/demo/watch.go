package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// await shows the cluster, a line for each change, until check finds nothing missing.
func (d *demo) await(ctx context.Context, check func(*v1alpha1.EtcdCluster) string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start, shown := time.Now(), ""
	_, err := d.env.AwaitCluster(ctx, d.cluster, func(c *v1alpha1.EtcdCluster) string {
		pods, err := d.members.Pods(ctx)
		if err != nil {
			return err.Error()
		}
		if line := picture(c, pods); line != shown {
			d.say("%7s  %s", seconds(time.Since(start)), line)
			shown = line
		}
		return check(c)
	})
	return err
}

// picture is a cluster in one line: what etcd says, and each Pod with its member's role.
func picture(c *v1alpha1.EtcdCluster, pods []corev1.Pod) string {
	roles := map[string]v1alpha1.MemberStatus{}
	for _, m := range c.Status.Members {
		roles[m.Name] = m
	}
	words := []string{"quorum -", fmt.Sprintf("leader %-8s", ptr.Deref(c.Status.Leader, "-"))}
	if q := c.Status.Quorum; q != nil {
		words[0] = "quorum " + q.Summary
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range pods {
		word := p.Name + " " + podPhase(&p)
		if m, found := roles[p.Name]; found && m.Role == v1alpha1.RoleLearner {
			word += " (learner)"
		}
		words = append(words, word)
	}
	return strings.Join(words, "  ")
}

func podPhase(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "ending"
	}
	for _, s := range p.Status.ContainerStatuses {
		switch {
		case s.Ready:
			return "ready"
		case s.State.Waiting != nil && s.State.Waiting.Reason != "":
			return s.State.Waiting.Reason
		case s.State.Running != nil:
			return "running"
		}
	}
	return string(p.Status.Phase)
}

// serving tells whether another member than this one leads and a majority serves.
func serving(without string) func(*v1alpha1.EtcdCluster) string {
	return func(c *v1alpha1.EtcdCluster) string {
		leader := ptr.Deref(c.Status.Leader, "")
		if leader == "" || leader == without {
			return "no other leader than " + without + ": " + framework.ShortStatus(c)
		}
		return framework.HasCondition(c, v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonQuorate)
	}
}
