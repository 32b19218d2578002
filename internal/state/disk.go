package state

import "slices"

// Disk is the PersistentVolume to which a claim is bound.
type Disk struct {
	// Gone tells that no PersistentVolume of this name exists.
	Gone bool
	// Terminating tells that it is being deleted; it stays as long as the claim does.
	Terminating bool
	// Searched tells that Hosts were looked for: only for members that are not healthy or whose node is gone, and where
	// the spec limits the nodes.
	Searched bool
	// Hosts are the existing nodes to which it can be attached, by name.
	Hosts []string
	// Unfit tells that there are Hosts, but that spec.podTemplate (nodeSelector, required node affinity) admits none of
	// them: a Pod that is created now could not run.
	Unfit bool
}

// Nowhere tells that no node exists to which it can be attached.
func (d *Disk) Nowhere() bool { return d != nil && !d.Gone && d.Searched && len(d.Hosts) == 0 }

// Vanishing says why no Pod can be created on the volume any more, which is gone once its last Pod is; empty when one
// can.
func (v Volume) Vanishing() string {
	switch {
	case v.Terminating:
		return "its volume " + v.Name + " is being deleted"
	case v.Lost || v.Disk != nil && v.Disk.Gone:
		return "the PersistentVolume of its volume " + v.Name + " is gone"
	default:
		return ""
	}
}

// Endangered says why the volume is about to be lost, or could not be attached again once its Pod has ended; empty when
// it is not. The member on it may well be healthy.
func (v Volume) Endangered() string {
	switch why := v.Vanishing(); {
	case why != "":
		return why
	case v.Disk != nil && v.Disk.Terminating:
		return "the PersistentVolume of its volume " + v.Name + " is being deleted"
	case v.Disk.Nowhere():
		return "no node exists to which its volume " + v.Name + " can be attached"
	default:
		return ""
	}
}

// Attachable tells that the volume can be attached to a node other than this one that is ready for new Pods.
func (c *Cluster) Attachable(v *Volume, besides string) bool {
	return v != nil && v.Disk != nil && slices.ContainsFunc(v.Disk.Hosts, func(name string) bool {
		n, exists := c.Nodes[name]
		return exists && name != besides && n.Ready && !n.Unschedulable && !n.OutOfService && !n.Repels
	})
}
