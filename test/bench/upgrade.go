package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// upgrade measures an upgrade of all members in their Pods.
func (s *stage) upgrade(ctx context.Context, l *life) error {
	to := s.options.upgradeTo
	return s.roll(ctx, l, partUpgrade, upgradeDone, to, func(ctx context.Context) error {
		return s.subject.upgrade(ctx, to)
	})
}

// upgrade gives the Pods another image: their kubelets replace the containers. The flags are the same in 3.6 and 3.7.
func (s *byHand) upgrade(ctx context.Context, version string) error {
	s.manifest.Version = version
	o, err := s.manifest.bootstrap(3)
	if err != nil {
		return err
	}
	patch := client.RawPatch(types.JSONPatchType, fmt.Appendf(nil,
		`[{"op":"replace","path":"/spec/containers/0/image","value":%q}]`, o.Pods[0].Spec.Containers[0].Image))
	return s.roll(ctx, version, func(ctx context.Context, m member) error {
		if err := s.client.Patch(ctx, m.pod.DeepCopy(), patch); err != nil {
			return fmt.Errorf("change the image of Pod %s: %w", m.pod.Name, err)
		}
		return nil
	})
}

// checkUpgrade refuses what etcd or floor.yaml cannot do.
func checkUpgrade(from, to string) error {
	if !strings.HasPrefix(from, "3.6.") || !regexp.MustCompile(`^3\.7\.\d+$`).MatchString(to) {
		return fmt.Errorf("-version is %q and -upgrade-to %q: upgrades are measured from a release of 3.6 to one of 3.7; "+
			"set both, or leave %s out of -only", from, to, partUpgrade)
	}
	return nil
}
