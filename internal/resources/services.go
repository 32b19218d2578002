package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// None of the Services sets ipFamilyPolicy: Kubernetes then gives each the cluster's first IP family, and the members
// listen on that family's wildcard. PreferDualStack would publish addresses of a second family at which an IPv4
// listener does not answer.

// PeerService is the headless Service of all members. It publishes addresses of members that are not ready, since they
// must find one another to become so. It names the metrics port as well, so that Prometheus finds members in trouble,
// but not the client port: clients belong to the Services that readiness gates.
func PeerService(c *v1alpha1.EtcdCluster) *corev1.Service {
	svc := service(c, PeerServiceName(c.Name), ComponentPeerService)
	svc.Spec = corev1.ServiceSpec{
		Type:                     corev1.ServiceTypeClusterIP,
		ClusterIP:                corev1.ClusterIPNone,
		PublishNotReadyAddresses: true,
		Selector:                 Selector(c.Name),
		Ports: []corev1.ServicePort{
			servicePort(PeerPortName, PeerPort),
			servicePort(MetricsPortName, MetricsPort),
		},
	}
	return svc
}

// ClientService reaches all ready voters. Learners are left out twice: by the role, and by readiness (/readyz fails on
// a learner), because a watch that lands on a learner is cancelled.
func ClientService(c *v1alpha1.EtcdCluster) *corev1.Service {
	var spec v1alpha1.ClientServiceSpec
	if c.Spec.ClientService != nil {
		spec = *c.Spec.ClientService
	}
	svc := service(c, ClientServiceName(c.Name), ComponentClientService)
	svc.Labels = merged(spec.Labels, svc.Labels)
	if len(spec.Annotations) > 0 {
		svc.Annotations = merged(spec.Annotations, nil)
	}
	svc.Spec = corev1.ServiceSpec{
		Type:              ptr.Deref(spec.Type, corev1.ServiceTypeClusterIP),
		LoadBalancerClass: spec.LoadBalancerClass,
		Selector:          VoterSelector(c.Name),
		Ports:             []corev1.ServicePort{servicePort(ClientPortName, ClientPort)},
	}
	return svc
}

// MemberService reaches one member while it is ready. Its name stays when the member is replaced, so it can stand in
// static lists, such as kube-apiserver's --etcd-servers.
func MemberService(c *v1alpha1.EtcdCluster, slot int) *corev1.Service {
	svc := service(c, MemberServiceName(c.Name, slot), ComponentMemberService)
	member := map[string]string{LabelMember: MemberName(c.Name, slot)}
	svc.Labels = merged(svc.Labels, member)
	svc.Spec = corev1.ServiceSpec{
		Type:     corev1.ServiceTypeClusterIP,
		Selector: merged(VoterSelector(c.Name), member),
		Ports:    []corev1.ServicePort{servicePort(ClientPortName, ClientPort)},
	}
	return svc
}

func service(c *v1alpha1.EtcdCluster, name, component string) *corev1.Service {
	svc := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: objectLabels(c.Name, component)},
	}
	SetOwner(svc, c, true)
	return svc
}

func servicePort(name string, port int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(name)}
}
