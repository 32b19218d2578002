package resources

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// tlsArgsOf are the flags of slot 0 that it has because it speaks TLS.
func tlsArgsOf(c *v1alpha1.EtcdCluster, version string) []string {
	var tls []string
	for _, arg := range args(c, bootstrapped(c, 0, version), state.Start{}) {
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "--"), "experimental-")
		for _, prefix := range []string{"cert-", "key-", "trusted-", "client-cert-", "peer-"} {
			if strings.HasPrefix(name, prefix) {
				tls = append(tls, arg)
			}
		}
	}
	return tls
}

func TestTLSFlagsOfEachMinorAndMode(t *testing.T) {
	common := []string{
		"--cert-file=/etc/etcd/tls/server/tls.crt", "--key-file=/etc/etcd/tls/server/tls.key",
		"--trusted-ca-file=/etc/etcd/tls/trust/client-ca.crt", "--client-cert-auth=true",
		"--peer-cert-file=/etc/etcd/tls/peer/tls.crt", "--peer-key-file=/etc/etcd/tls/peer/tls.key",
		"--peer-trusted-ca-file=/etc/etcd/tls/trust/peer-ca.crt", "--peer-client-cert-auth=true",
	}
	demanded := "--peer-cert-allowed-cn=" + PeerCommonName(cluster())
	for version, unverified := range map[string]string{
		"3.5.35": "--experimental-peer-skip-client-san-verification=true",
		"3.6.16": "--peer-skip-client-san-verification=true",
		"3.7.3":  "--peer-skip-client-san-verification=true",
	} {
		mutual := append(slices.Clone(common), unverified)
		for mode, want := range map[v1alpha1.TLSMode][]string{
			v1alpha1.TLSManaged:     append(slices.Clone(mutual), demanded),
			v1alpha1.TLSCertManager: append(slices.Clone(mutual), demanded),
			v1alpha1.TLSSecrets:     mutual,
			v1alpha1.TLSDisabled:    nil,
		} {
			c := cluster(tlsMode(mode))
			if diff := cmp.Diff(want, tlsArgsOf(c, version)); diff != "" {
				t.Errorf("etcd %s in mode %s (-want +got):\n%s", version, mode, diff)
			}
			scheme := "https://"
			if mode == v1alpha1.TLSDisabled {
				scheme = "http://"
			}
			all := args(c, bootstrapped(c, 0, version), state.Start{})
			for _, arg := range []string{
				"--listen-client-urls=" + scheme + "0.0.0.0:2379", "--listen-peer-urls=" + scheme + "0.0.0.0:2380",
				"--advertise-client-urls=" + scheme + "demo-0.shop.svc:2379",
				"--initial-advertise-peer-urls=" + scheme + "demo-0.demo-peers.shop.svc:2380",
				"--listen-metrics-urls=http://0.0.0.0:2381",
			} {
				if !slices.Contains(all, arg) {
					t.Errorf("etcd %s in mode %s lacks %s: %q", version, mode, arg, all)
				}
			}
		}
	}
}

func tlsPod(c *v1alpha1.EtcdCluster, start state.Start) *corev1.Pod {
	start.InitialCluster = "list"
	return Pod(c, bootstrapped(c, 0, "3.6.16"), start)
}

func TestAPodThatAcceptsAnyPeerNameDiffersInTheFlagOnly(t *testing.T) {
	strict, lenient := tlsPod(cluster(), state.Start{Trust: testTrust}), tlsPod(cluster(), state.Start{Trust: testTrust, AnyPeerName: true})
	args := func(pod *corev1.Pod) []string { return pod.Spec.Containers[0].Args }
	if got, want := DemandedBy(state.Pod{Args: args(strict)}), PeerCommonName(cluster()); got != want {
		t.Errorf("it demands %q, want %q", got, want)
	}
	if got := DemandedBy(state.Pod{Args: args(lenient)}); got != "" {
		t.Errorf("the other one demands %q", got)
	}
	strict.Spec.Containers[0].Args = slices.DeleteFunc(args(strict), func(arg string) bool {
		return strings.HasPrefix(arg, "--peer-cert-allowed-cn=")
	})
	if diff := cmp.Diff(strict, lenient); diff != "" {
		t.Errorf("they differ otherwise, too:\n%s", diff)
	}
}

// Every file that a flag or a variable names must come from a mounted volume, and from the item of that name.
func TestEveryFileOfTLSIsMounted(t *testing.T) {
	pod := tlsPod(cluster(), state.Start{Trust: testTrust})
	etcd := pod.Spec.Containers[0]
	files := map[string]bool{}
	for _, arg := range etcd.Args {
		if _, value, _ := strings.Cut(arg, "="); strings.HasPrefix(value, "/etc/") {
			files[value] = true
		}
	}
	for _, env := range etcd.Env {
		if strings.HasPrefix(env.Value, "/etc/") {
			files[env.Value] = true
		}
	}
	if len(files) != 6 {
		t.Errorf("flags and variables name the files %v, want 6", files)
	}
	for file := range files {
		if !mounted(pod, file) {
			t.Errorf("no volume brings %s", file)
		}
	}
}

// mounted tells that a volume brings the file.
func mounted(pod *corev1.Pod, file string) bool {
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		name, below := strings.CutPrefix(file, m.MountPath+"/")
		if !below {
			continue
		}
		for _, v := range pod.Spec.Volumes {
			switch {
			case v.Name != m.Name:
			case v.ConfigMap != nil:
				return name == keyPeerTrust || name == keyClientTrust
			case v.Secret != nil:
				return slices.ContainsFunc(v.Secret.Items, func(i corev1.KeyToPath) bool { return i.Path == name })
			}
		}
	}
	return false
}

func TestVolumesWithCertificates(t *testing.T) {
	secret := func(name, secret string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: secret, DefaultMode: new(int32(0o440)),
			// Without ca.crt: what is trusted comes from the ConfigMap alone, which the Pod names.
			Items: []corev1.KeyToPath{{Key: "tls.crt", Path: "tls.crt"}, {Key: "tls.key", Path: "tls.key"}},
		}}}
	}
	want := []corev1.Volume{
		{Name: "trust", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: testTrust}, DefaultMode: new(int32(0o440)),
		}}},
		secret("peer-tls", "demo-peer-tls"), secret("server-tls", "demo-server-tls"),
	}
	// Modes with sources publish copies under the same names: the members know no sources.
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSManaged, v1alpha1.TLSCertManager, v1alpha1.TLSSecrets} {
		pod := tlsPod(cluster(tlsMode(mode)), state.Start{Trust: testTrust})
		if diff := cmp.Diff(want, pod.Spec.Volumes[1:]); diff != "" {
			t.Errorf("mode %s (-want +got):\n%s", mode, diff)
		}
		for _, m := range pod.Spec.Containers[0].VolumeMounts[1:] {
			if !m.ReadOnly || m.SubPath != "" || m.SubPathExpr != "" {
				t.Errorf("mode %s: the mount %s can be written to, or is never brought up to date: %+v", mode, m.Name, m)
			}
		}
		if len(pod.Spec.Containers[0].VolumeMounts) != 4 {
			t.Errorf("mode %s: got the mounts %+v", mode, pod.Spec.Containers[0].VolumeMounts)
		}
	}
	plain := tlsPod(cluster(tlsMode(v1alpha1.TLSDisabled)), state.Start{})
	if len(plain.Spec.Volumes) != 1 || len(plain.Spec.Containers[0].VolumeMounts) != 1 {
		t.Errorf("a member that speaks plain text has the volumes %+v", plain.Spec.Volumes)
	}
}

func TestEtcdctlNeedsNoFlagsInAMember(t *testing.T) {
	of := func(pod *corev1.Pod) map[string]string {
		got := map[string]string{}
		for _, env := range pod.Spec.Containers[0].Env {
			if strings.HasPrefix(env.Name, "ETCD") {
				got[env.Name] = env.Value
			}
		}
		return got
	}
	want := map[string]string{
		"ETCDCTL_CACERT": "/etc/etcd/tls/trust/client-ca.crt",
		"ETCDCTL_CERT":   "/etc/etcd/tls/server/tls.crt",
		"ETCDCTL_KEY":    "/etc/etcd/tls/server/tls.key",
	}
	if diff := cmp.Diff(want, of(tlsPod(cluster(), state.Start{Trust: testTrust}))); diff != "" {
		t.Errorf("with TLS (-want +got):\n%s", diff)
	}
	// etcdctl would speak TLS to a member that does not.
	if got := of(tlsPod(cluster(tlsMode(v1alpha1.TLSDisabled)), state.Start{})); len(got) != 0 {
		t.Errorf("without TLS the member has %v", got)
	}
}

func TestAPodTellsWhatItTrustsAndWhichCertificatesItGot(t *testing.T) {
	got, err := ParsePod("demo", tlsPod(cluster(), state.Start{Trust: testTrust, Certificates: testRevision}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Trust != testTrust || got.Certificates != testRevision {
		t.Errorf("it trusts %q and got %q", got.Trust, got.Certificates)
	}
	pod := tlsPod(cluster(), state.Start{Trust: testTrust, Certificates: testRevision})
	before := pod.DeepCopy()
	SetCertificates(pod, "renewed")
	if got, err = ParsePod("demo", pod); err != nil || got.Certificates != "renewed" {
		t.Errorf("after a renewal it got %q, %v", got.Certificates, err)
	}
	delete(before.Annotations, AnnotationCertificates)
	delete(pod.Annotations, AnnotationCertificates)
	if diff := cmp.Diff(before, pod); diff != "" {
		t.Errorf("a renewal changed more than the annotation (-before +after):\n%s", diff)
	}
	plain, err := ParsePod("demo", tlsPod(cluster(tlsMode(v1alpha1.TLSDisabled)), state.Start{}))
	if err != nil || plain.Trust != "" || plain.Certificates != "" {
		t.Errorf("without TLS it trusts %q and got %q, %v", plain.Trust, plain.Certificates, err)
	}
}
