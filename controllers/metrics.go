package controllers

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// Metrics of the clusters and of the operator's steps. The series of a cluster are removed with it.
type Metrics struct {
	available *prometheus.GaugeVec
	voters    *prometheus.GaugeVec
	healthy   *prometheus.GaugeVec
	required  *prometheus.GaugeVec
	wanted    *prometheus.GaugeVec
	paused    *prometheus.GaugeVec
	asleep    *prometheus.GaugeVec
	blocked   *prometheus.GaugeVec
	dbSize    *prometheus.GaugeVec
	dbInUse   *prometheus.GaugeVec
	dbQuota   *prometheus.GaugeVec
	volume    *prometheus.GaugeVec
	applied   *prometheus.GaugeVec
	expiry    *prometheus.GaugeVec
	steps     *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	cluster := []string{"namespace", "name"}
	member := append(slices.Clone(cluster), "member")
	reason := append(slices.Clone(cluster), "reason")
	certificate := append(slices.Clone(cluster), "certificate")
	gauge := func(name, help string, labels []string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "quorate", Name: name, Help: help}, labels)
		registry.MustRegister(g)
		return g
	}
	m := &Metrics{
		available: gauge("cluster_available", "1 when a linearizable read succeeded: a majority serves.", cluster),
		voters:    gauge("cluster_voters", "Voting members that etcd lists.", cluster),
		healthy:   gauge("cluster_healthy_voters", "Voting members that are proven healthy.", cluster),
		required:  gauge("cluster_required_voters", "Healthy voters that a majority needs.", cluster),
		wanted:    gauge("cluster_wanted_voters", "Voting members that the spec asks for.", cluster),
		paused:    gauge("cluster_paused", "1 when spec.paused is set.", cluster),
		asleep:    gauge("cluster_hibernated", "1 when spec.hibernated is set and in force.", cluster),
		blocked:   gauge("cluster_blocked", "1 for each reason that the operator waits for.", reason),
		dbSize:    gauge("member_db_size_bytes", "Size of the member's database file.", member),
		dbInUse:   gauge("member_db_size_in_use_bytes", "Bytes of the member's database file that hold data.", member),
		dbQuota:   gauge("member_db_quota_bytes", "Size of the database at which the member stops accepting writes.", member),
		volume:    gauge("member_volume_size_bytes", "Size of the member's volume.", member),
		applied:   gauge("member_applied_index", "Raft index that the member has applied.", member),
		expiry: gauge("certificate_expiry_timestamp_seconds",
			"When a certificate or certificate authority (peer-ca, client-ca) expires, in seconds since 1970.", certificate),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "quorate", Name: "steps_total",
			Help: "Steps that the operator executed, by kind and result (done, later, failed).",
		}, []string{"step", "result"}),
	}
	registry.MustRegister(m.steps)
	return m
}

func (m *Metrics) step(s plan.Step, err error, later bool) {
	result := "done"
	switch {
	case later:
		result = "later"
	case err != nil:
		result = "failed"
	}
	m.steps.WithLabelValues(stepName(s), result).Inc()
}

func (m *Metrics) observe(c *state.Cluster, blocked []plan.Blocked) {
	ns, name := c.Object.Namespace, c.Object.Name
	v := quorum.Project(plan.QuorumMembers(c), quorum.Change{})
	m.available.WithLabelValues(ns, name).Set(number(c.Etcd.Serving))
	m.voters.WithLabelValues(ns, name).Set(float64(v.Voters))
	m.healthy.WithLabelValues(ns, name).Set(float64(v.Healthy))
	m.required.WithLabelValues(ns, name).Set(float64(v.Required))
	m.wanted.WithLabelValues(ns, name).Set(float64(c.Replicas()))
	m.paused.WithLabelValues(ns, name).Set(number(c.Object.Spec.Paused != nil && *c.Object.Spec.Paused))
	m.asleep.WithLabelValues(ns, name).Set(number(hibernates(c)))
	this := prometheus.Labels{"namespace": ns, "name": name}
	m.blocked.DeletePartialMatch(this)
	for _, b := range blocked {
		m.blocked.WithLabelValues(ns, name, b.Reason).Set(1)
	}
	for _, g := range []*prometheus.GaugeVec{m.dbSize, m.dbInUse, m.dbQuota, m.volume, m.applied, m.expiry} {
		g.DeletePartialMatch(this)
	}
	for certificate, at := range expiries(c.TLS) {
		m.expiry.WithLabelValues(ns, name, certificate).Set(float64(at.Unix()))
	}
	for _, member := range c.Members {
		if quota := member.Quota(); quota > 0 {
			m.dbQuota.WithLabelValues(ns, name, member.Name).Set(float64(quota))
		}
		if v := member.Volume; v != nil && v.Capacity > 0 {
			m.volume.WithLabelValues(ns, name, member.Name).Set(float64(v.Capacity))
		}
		if p := member.Probe; p.Answered {
			m.dbSize.WithLabelValues(ns, name, member.Name).Set(float64(p.DBSize))
			m.dbInUse.WithLabelValues(ns, name, member.Name).Set(float64(p.DBSizeInUse))
			m.applied.WithLabelValues(ns, name, member.Name).Set(float64(p.Applied))
		}
	}
}

func (m *Metrics) forget(cluster client.ObjectKey) {
	this := prometheus.Labels{"namespace": cluster.Namespace, "name": cluster.Name}
	for _, g := range []*prometheus.GaugeVec{
		m.available, m.voters, m.healthy, m.required, m.wanted, m.paused, m.asleep, m.blocked, m.dbSize, m.dbInUse,
		m.dbQuota, m.volume,
		m.applied, m.expiry,
	} {
		g.DeletePartialMatch(this)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
