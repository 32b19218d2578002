package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
)

// running is a Pod whose etcd runs, or is about to.
type running struct {
	pod *corev1.Pod
	c   *container
}

func (w *world) runningPods() []running {
	var list []running
	for _, pod := range view[*corev1.Pod](w.store) {
		c := w.kube.containers[pod.UID]
		if c == nil || !c.started {
			continue
		}
		if s, _ := w.etcd.State(string(pod.UID)); s.Running || c.starting {
			list = append(list, running{pod, c})
		}
	}
	return list
}

// peerVerdict is what the first member thinks of the certificate by which the second is a peer. A peer shows the same
// one when it dials and when it is dialled.
func (w *world) peerVerdict(of, about running) verdict {
	if of.c.paths.peerCert == "" {
		return verdict{}
	}
	l := about.c.peerLeaf()
	v := w.verifier.judge(of.c.peerTrust, l, w.now)
	if cn := of.c.paths.peerCommonName; v.problem == "" && cn != "" && w.verifier.leaf(l).Subject.CommonName != cn {
		v.problem = "its common name is not allowed"
	}
	return v
}

// link cuts off the members that the others do not accept, and those on nodes that are cut off. Of several groups that
// accept one another the largest stays connected: the model of etcd knows cut-off members, not split networks.
func (w *world) link() {
	pods := w.runningPods()
	group := make([]int, len(pods))
	for i := range pods {
		group[i] = i
	}
	for i := range pods {
		for j := range i {
			if w.peerVerdict(pods[i], pods[j]).problem == "" && w.peerVerdict(pods[j], pods[i]).problem == "" {
				merge(group, group[i], group[j])
			}
		}
	}
	largest := largestGroup(group)
	for i, p := range pods {
		w.cutOff(p.pod, group[i] != largest)
	}
}

func merge(group []int, a, b int) {
	for i := range group {
		if group[i] == a {
			group[i] = b
		}
	}
}

func largestGroup(group []int) int {
	size, best := map[int]int{}, -1
	for _, g := range group {
		size[g]++
	}
	for _, g := range group {
		if best < 0 || size[g] > size[best] {
			best = g
		}
	}
	return best
}

func (w *world) cutOff(pod *corev1.Pod, untrusted bool) {
	if untrusted && !w.untrusted[pod.UID] {
		w.log("%s is accepted by no other member", pod.Name)
	}
	w.untrusted[pod.UID] = untrusted
	if cut := untrusted || w.partitioned[pod.Spec.NodeName]; cut != w.cut[pod.UID] {
		w.cut[pod.UID] = cut
		w.etcd.Partition(string(pod.UID), cut)
	}
}

// operatorPair is a certificate that an operator may show, and the CAs that it trusts with it.
type operatorPair struct {
	leaf  leaf
	trust string
}

// noteCredentials remembers the certificates in the Secrets that an operator listed last, so that the CAs are known
// that go with the one that the observer hands to the etcd clients.
func (op *operator) noteCredentials(list any) {
	secrets, ok := list.(*corev1.SecretList)
	if !ok {
		return
	}
	for i := range secrets.Items {
		s := &secrets.Items[i]
		if pair, cert, bundle, err := resources.CertificateIn(s); err == nil {
			op.pairs[string(cert.Raw)] = operatorPair{leaf{string(pair.Cert), string(pair.Key)}, string(bundle.PEM())}
		}
	}
}

// pair is what the operator shows now; none while it has no certificate.
func (op *operator) pair() operatorPair {
	_, shown := op.credentials.Certificates(namespace + "/" + clusterName)
	if len(shown.Certificate) == 0 {
		return operatorPair{}
	}
	return op.pairs[string(shown.Certificate[0])]
}

// reach tells why an operator cannot talk to the process in the Pod; nil when it can. Every call stands for a new
// connection: what only a connection from before could do does not count as working.
func (w *world) reach(op *operator, t etcd.Target) error {
	c := w.kube.containers[types.UID(t.PodUID)]
	switch {
	case c == nil || !c.started:
		return nil // the model knows no process there either
	case t.TLS != (c.paths.serverCert != ""):
		return errors.New("one side speaks TLS, the other does not")
	case !t.TLS:
		return nil
	}
	served, own := c.serverLeaf(), op.pair()
	if v := w.verifier.judge(own.trust, served, w.now); v.problem != "" {
		return fmt.Errorf("the member's certificate: %s", v.problem)
	}
	if err := w.verifier.leaf(served).VerifyHostname(t.ServerName); err != nil {
		return fmt.Errorf("the member's certificate: %w", err)
	}
	if v := w.verifier.judge(c.clientTrust, own.leaf, w.now); v.problem != "" {
		return fmt.Errorf("remote error: %s", v.problem)
	}
	return nil
}

// served is what etcd.Served answers: the fingerprint of what the process at the address shows. With TLS 1.3 a client
// sees it even if its own certificate is refused afterwards.
func (w *world) served(_ context.Context, address string, _ *tls.Certificate) (string, error) {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("handshake with %s: %w", address, err)
	}
	for uid, c := range w.kube.containers {
		s, _ := w.etcd.State(string(uid))
		if w.kube.ips[uid] != ip || !c.started || !s.Running || w.partitioned[c.node] || w.hidden[uid] {
			continue
		}
		shown := c.serverLeaf()
		if port == strconv.Itoa(resources.PeerPort) {
			shown = c.peerLeaf()
		}
		if cert := w.verifier.leaf(shown); cert != nil {
			return pki.Fingerprint(cert), nil
		}
	}
	return "", fmt.Errorf("handshake with %s: nobody answers", address)
}
