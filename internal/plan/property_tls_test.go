package plan_test

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// kindOf a step is its type, of some also what it is for.
func kindOf(s plan.Step) string {
	switch s := s.(type) {
	case plan.SetAuthority:
		return fmt.Sprintf("%T %s", s, s.Change)
	case plan.DeletePod:
		if slices.Contains(restarts, plan.Step(plan.DeletePod{Why: s.Why})) {
			return fmt.Sprintf("%T %s", s, s.Why)
		}
	}
	return fmt.Sprintf("%T", s)
}

var (
	certificateEnsures = []plan.Step{
		plan.RequestCertificates{}, plan.PublishTrust{}, plan.PruneTrust{}, plan.PublishCertificate{}, plan.RefreshCertificates{},
	}
	// changes of an authority; the last two are steps.
	changes = []plan.Step{
		plan.SetAuthority{Change: plan.CreateAuthority}, plan.SetAuthority{Change: plan.RestoreAuthority},
		plan.SetAuthority{Change: plan.SupplantAuthority},
		plan.SetAuthority{Change: plan.BeginRotation}, plan.SetAuthority{Change: plan.SwitchAuthority},
		plan.SetAuthority{Change: plan.FinishRotation},
	}
	// restarts of Pods that trust something else than what is wanted.
	restarts = []plan.Step{
		plan.DeletePod{Why: "it has to load the certificate authorities that are trusted now"},
		plan.DeletePod{Why: "it trusts other certificate authorities than those that are trusted now"},
		plan.DeletePod{Why: "it trusts nothing of what is published"},
	}
)

// certificateFaults are what is wrong with what the decision does to certificates.
func certificateFaults(c *state.Cluster, d plan.Decision) []string {
	var list []string
	for _, s := range append(slices.Clone(d.Ensures), d.Step) {
		switch s := s.(type) {
		case plan.SetAuthority:
			list = append(list, authorityFaults(c, s)...)
		case plan.PruneTrust:
			for _, p := range c.Pods() {
				if slices.Contains(s.Names, p.Trust) {
					list = append(list, "a ConfigMap is deleted that Pod "+p.Name+" mounts")
				}
			}
			if slices.Contains(s.Names, c.TLS.Trust) {
				list = append(list, "the ConfigMap is deleted that is wanted")
			}
		case plan.PublishCertificate:
			a, cert := c.TLS.Authority(s.Name.Side()), c.TLS.Certificates[s.Name]
			if !a.Recorded || s.Renew && cert.Source == nil && !a.Signer.Key && !cert.Remembered {
				list = append(list, "a certificate is published that nobody can sign")
			}
			if s.Renew && cert.Source != nil && cert.Source.CA.ID != a.Signer.ID {
				list = append(list, "a certificate is taken of another CA than the one that signs")
			}
			if s.Renew && a.Next == nil && a.Previous == nil && stranger(c, s.Name.Side()) {
				list = append(list, "a certificate is issued that no member accepts")
			}
		}
	}
	return list
}

// stranger tells that no Pod trusts the signer of the side.
func stranger(c *state.Cluster, side state.Side) bool {
	known, trusting := 0, 0
	for _, p := range c.Pods() {
		if _, found := c.TLS.Trusts[p.Trust]; found {
			known++
			if c.TLS.PodTrusts(p, side, c.TLS.Authority(side).Signer) {
				trusting++
			}
		}
	}
	return known > 0 && trusting == 0
}

func authorityFaults(c *state.Cluster, s plan.SetAuthority) []string {
	var list []string
	a := c.TLS.Authority(s.Side)
	fault := func(wrong bool, what string) {
		if wrong {
			list = append(list, string(s.Change)+" "+string(s.Side)+": "+what)
		}
	}
	pods := c.Pods()
	switch s.Change {
	case plan.CreateAuthority:
		fault(slices.ContainsFunc(pods, func(p state.Pod) bool { return p.Trust != "" }), "while a Pod trusts another")
		fault(a.Recorded, "although there is one")
	case plan.RestoreAuthority:
		fault(a.Recorded, "although there is one")
	case plan.SupplantAuthority:
		fault(!a.Recorded || !stranger(c, s.Side), "although members trust it")
	case plan.BeginRotation:
		fault(!a.Recorded, "without an authority")
	case plan.SwitchAuthority:
		fault(a.Next == nil, "to nothing")
		if a.Next == nil || worthless(c, s.Side) {
			break
		}
		fault(c.TLS.Managed && !a.Next.Key, "to one that cannot sign")
		fault(!c.Now.Before(a.Next.NotAfter), "to one that has expired")
		for _, p := range pods {
			fault(!c.TLS.PodTrusts(p, s.Side, *a.Next), "while Pod "+p.Name+" does not trust it")
		}
	case plan.FinishRotation:
		for _, name := range state.CertificateNames() {
			fault(name.Side() == s.Side && c.TLS.Certificates[name].Issuer != a.Signer.ID,
				"while a certificate of another CA is published")
		}
		for _, m := range c.Members {
			fault(m.Pod != nil && !c.TLS.Served(m), "while "+m.Name+" serves something else")
		}
		for _, p := range pods {
			fault(!c.TLS.PodTrusts(p, s.Side, a.Signer), "while Pod "+p.Name+" trusts only the former one")
		}
	}
	return list
}

// worthless tells that what the signer has signed is accepted by nobody, or is lost for good: there is nothing to lose.
func worthless(c *state.Cluster, side state.Side) bool {
	a := c.TLS.Authority(side)
	if !c.Now.Before(a.Signer.NotAfter) {
		return true
	}
	for _, name := range state.CertificateNames() {
		cert := c.TLS.Certificates[name]
		if name.Side() == side && (!cert.Exists || !c.Now.Before(cert.NotAfter)) && !c.Etcd.Serving {
			return true
		}
	}
	return false
}

// restartFaults are what is wrong with the deletion of a running member's Pod, which trusts what is no longer wanted.
func restartFaults(c *state.Cluster, m state.Member, inPlace bool) []string {
	var list []string
	fault := func(wrong bool, what string) {
		if wrong {
			list = append(list, "the Pod of "+m.Name+" is deleted, which runs: "+what)
		}
	}
	fault(!c.TLS.Usable(), "it could not start again")
	fault(!inPlace && (m.Volume == nil || m.Volume.Terminating || m.Volume.Retired || m.Volume.Foreign()),
		"its data goes with it")
	if !c.Formed() || !c.Etcd.Serving && cutOff(c, *m.Pod) || m.Health == state.Unknown && cutOff(c, *m.Pod) && ready(c, m) {
		return list
	}
	voters := c.Voters()
	fault(!c.Etcd.Listed || !c.Etcd.Serving, "the cluster does not serve")
	if len(voters) == 1 && voters[0].ID == m.ID {
		return list
	}
	fault(!quorum.Project(plan.QuorumMembers(c), quorum.Change{Kind: quorum.Stop, Member: m.ID}).Allowed,
		"no proven majority would be left")
	fault(m.ID == c.Etcd.Leader, "it leads")
	b := c.Disruption
	fault(!m.Learner && (b == nil || !b.Observed || b.MinAvailable != len(voters)), "it was not announced")
	for _, other := range c.Members {
		fault(other.ID != m.ID && other.Pod == nil, "another has no Pod")
		fault(other.ID != m.ID && other.Pod != nil && other.Pod.Terminating, "another is being deleted")
	}
	return list
}

// ready tells that the kubelets find all others ready.
func ready(c *state.Cluster, m state.Member) bool {
	return !slices.ContainsFunc(c.Voters(), func(other state.Member) bool {
		return other.ID != m.ID && (other.Pod == nil || !other.Pod.Ready || other.Pod.Terminating)
	})
}

// cutOff tells that whatever is published on one side is accepted by the Pod no more.
func cutOff(c *state.Cluster, p state.Pod) bool {
	return slices.ContainsFunc(statetest.Sides(), func(side state.Side) bool {
		for _, name := range state.CertificateNames() {
			if name.Side() == side && c.TLS.Certificates[name].Issuer != c.TLS.Authority(side).Signer.ID {
				return false
			}
		}
		return !c.TLS.PodTrusts(p, side, c.TLS.Authority(side).Signer)
	})
}
