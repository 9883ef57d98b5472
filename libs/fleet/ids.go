package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Names and IDs. Each is a type of its own so that one is never taken for another.
type (
	// ClusterName is the short name of an ECS cluster. An installation of Neap serves
	// one AWS account and region, so the name identifies the cluster within it.
	ClusterName string
	// InstanceID is an EC2 instance ID ("i-0abc…"). Everything is keyed by it: unlike
	// names and addresses EC2 never uses one twice.
	InstanceID string
	// ContainerInstanceID is the last part of an ECS container instance ARN.
	ContainerInstanceID string
	// ServiceName is the short name of an ECS service, unique in its cluster.
	ServiceName string
	// LaunchSpecName names a launch spec of the policy.
	LaunchSpecName string
	// PlanID is the content hash of a plan.
	PlanID string
	// ActionID is derived from the plan and the content of an action. It is also the
	// EC2 client token of a launch and a tag on every instance the action made.
	ActionID string
	// TypeName is an EC2 instance type ("m7i.large").
	TypeName string
	// Zone is an availability zone name ("us-east-1a").
	Zone string
	// SubnetID is an EC2 subnet ID.
	SubnetID string
	// ImageID is an EC2 image ID ("ami-…").
	ImageID string
)

// Lifecycle says how an instance is bought.
type Lifecycle string

// The purchase options of EC2 that Neap uses.
const (
	OnDemand Lifecycle = "on-demand"
	Spot     Lifecycle = "spot"
)

// Architecture is a CPU architecture, spelled as ECS spells it in the built-in
// attribute ecs.cpu-architecture.
type Architecture string

// The architectures ECS knows on EC2.
const (
	X86 Architecture = "x86_64"
	ARM Architecture = "arm64"
)

// Attribute is an ECS attribute of a container instance. A name-only attribute has an
// empty value.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// maxClusterName is the longest name that ECS accepts.
const maxClusterName = 255

// ECS allows letters, digits, hyphen and underscore in cluster names.
var clusterNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// Validate reports whether the name is one that ECS could have given out.
func (c ClusterName) Validate() error {
	if !clusterNamePattern.MatchString(string(c)) {
		return fmt.Errorf("%w: cluster name %q: use 1 to %d letters, digits, '-' or '_', as in ECS", ErrInvalid, clip(string(c)), maxClusterName)
	}
	return nil
}

// Key encodes the name for subjects, bucket keys and cache keys: letters, digits, '-'
// and '_' stand for themselves, every other byte becomes '=' and two hex digits. No
// name, however hostile, can form a wildcard or a further token of a subject.
func (c ClusterName) Key() string {
	var b strings.Builder
	for i := range len(c) {
		switch ch := c[i]; {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', ch == '-', ch == '_':
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "=%02x", ch)
		}
	}
	return b.String()
}

// ClusterFromKey is the inverse of [ClusterName.Key].
func ClusterFromKey(key string) (ClusterName, error) {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] != '=' {
			b.WriteByte(key[i])
			continue
		}
		if i+2 >= len(key) {
			return "", fmt.Errorf("%w: cluster key %q ends within an escape", ErrInvalid, clip(key))
		}
		n, err := strconv.ParseUint(key[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: cluster key %q: %q is no escape", ErrInvalid, clip(key), key[i:i+3])
		}
		b.WriteByte(byte(n))
		i += 2
	}
	name := ClusterName(b.String())
	if name.Key() != key {
		return "", fmt.Errorf("%w: cluster key %q is not in canonical form", ErrInvalid, clip(key))
	}
	return name, nil
}

// tokenLength keeps a client token within EC2's 64 ASCII characters, with room to spare;
// 43 base64url characters carry a whole SHA-256.
const tokenLength = 43

// NewActionID derives the ID of the action at an index of a plan from the plan's place in
// the chain and the action's own content. Content is part of it so that IDs stay distinct
// even if a lost stream hands out a sequence a second time.
func NewActionID(generation uint64, cluster ClusterName, prev PlanID, index int, content []byte) ActionID {
	h := sha256.New()
	fmt.Fprintf(h, "action\x00%d\x00%s\x00%s\x00%d\x00", generation, cluster, prev, index)
	h.Write(content)
	return ActionID(base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:tokenLength])
}

// Short is the beginning of the ID, enough for people to tell actions apart.
func (a ActionID) Short() string { return short(string(a)) }

// Short is the beginning of the ID, enough for people to tell plans apart.
func (p PlanID) Short() string { return short(string(p)) }

func short(s string) string { return s[:min(len(s), 10)] }

// Digest is the SHA-256 of bytes in hex: the identity of a snapshot or a policy.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// clip bounds what an error message repeats of its input.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
