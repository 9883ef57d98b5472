package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is what the owner of a cluster allows and wants: one document per cluster. The
// zero value of each optional field means its default; [Policy.WithDefaults] fills them in
// and [Policy.Validate] says what is wrong, by field, value and remedy.
type Policy struct {
	APIVersion  string          `json:"apiVersion" desc:"version of this document: neap.dev/v1"`
	Cluster     ClusterName     `json:"cluster,omitempty" desc:"ECS cluster this policy is meant for; applying it to another is refused"`
	DryRun      *bool           `json:"dryRun,omitempty" desc:"plan and explain, change nothing; true until switched off"`
	Limits      Limits          `json:"limits" desc:"what the cluster may never exceed or fall below"`
	ScaleUp     ScaleUp         `json:"scaleUp,omitzero" desc:"how eagerly instances are launched"`
	Headroom    Headroom        `json:"headroom,omitzero" desc:"room to keep free for tasks to come"`
	ScaleDown   ScaleDown       `json:"scaleDown,omitzero" desc:"when and how fast instances are removed"`
	Drain       DrainPolicy     `json:"drain,omitzero" desc:"how an instance is emptied"`
	Schedules   Schedules       `json:"schedules,omitzero" desc:"times at which the cluster is down"`
	Rolls       Rolls           `json:"rolls,omitzero" desc:"which instances are replaced by new ones of the same kind without anybody asking for it"`
	Unhealthy   UnhealthyPolicy `json:"unhealthy,omitzero" desc:"what becomes of instances that do not work"`
	Boot        BootPolicy      `json:"boot,omitzero" desc:"what is expected of a new instance"`
	LaunchSpecs []LaunchSpec    `json:"launchSpecs" desc:"what instances may be launched from; unset fields are taken from the first one"`
	Attributes  AttributePolicy `json:"attributes,omitzero" desc:"names of the tags and attributes that Neap reads and writes"`
}

// PolicyAPIVersion is the version of the policy document that this build reads.
const PolicyAPIVersion = "neap.dev/v1"

// Limits bound the cluster.
type Limits struct {
	MinInstances int   `json:"minInstances,omitempty" desc:"instances to keep, however idle"`
	MaxInstances int   `json:"maxInstances" desc:"instances never to exceed; required, for a runaway must end somewhere"`
	MaxVCPUs     int64 `json:"maxVCPUs,omitempty" desc:"vCPUs never to exceed; 0 is no such limit"`
	MaxMemoryGiB int64 `json:"maxMemoryGiB,omitempty" desc:"memory never to exceed; 0 is no such limit"`
	LaunchBurst  int   `json:"launchBurst,omitempty" desc:"instances launched in one plan at most; default the larger of 10 and a tenth of the cluster"`

	Schedule []LimitsWindow `json:"schedule,omitempty" desc:"times of the week with another minimum; the first that holds counts"`
}

// LimitsWindow is a time of the week with another minimum of instances.
type LimitsWindow struct {
	WeekWindow   `yaml:",inline"`
	MinInstances *int `json:"minInstances" desc:"as limits.minInstances; 0 is none"`
}

// Schedules say when the cluster is down.
type Schedules struct {
	Shutdown []WeekWindow `json:"shutdown,omitempty" desc:"times of the week at which no instance is kept and none is launched: tasks are stopped, and wait until it is over"`
}

// ScaleUp says how eagerly instances are launched for what waits.
type ScaleUp struct {
	Surge       Surge    `json:"surge,omitempty" desc:"room for rolling deployments: full (all that the maximum percentage allows; default) or progress (one task at a time, none if ECS may stop one first)"`
	GiveUpAfter Duration `json:"giveUpAfter,omitempty" desc:"a service that waits for so long without an update of it causes no more launches, until it is updated; default 2h"`
	Cooldown    Duration `json:"cooldown,omitempty" desc:"wait after a launch before the next one; default none"`

	StandaloneFor Duration `json:"standaloneFor,omitempty" desc:"how long a standalone task that ECS refused for lack of room counts as waiting, unless a like one is started; default 10m; known from events alone"`
}

// Surge is how much room is launched for the surge of a rolling deployment: for the tasks
// beyond the desired count that run while new ones replace old ones.
type Surge string

// The kinds of surge. Full is fast: ECS starts as many new tasks at once as the maximum
// percentage allows. Progress is cheap: where the minimum percentage lets ECS stop a task
// before it starts another, nothing is launched for the surge, and elsewhere one task.
const (
	SurgeFull     Surge = "full"
	SurgeProgress Surge = "progress"
)

// Headroom is room kept free, in whole units: a unit fits on one instance or does not count.
type Headroom struct {
	Units      []HeadroomUnit `json:"units,omitempty" desc:"units of a fixed size"`
	Percentage int            `json:"percentage,omitempty" desc:"share of the resources that tasks request, kept free in units of the mean task"`

	AutomaticPercentage int              `json:"automaticPercentage,omitempty" desc:"share of the resources that tasks request, kept free in units like the tasks of the services that scaled out most lately, where these may run"`
	Schedule            []HeadroomWindow `json:"schedule,omitempty" desc:"times of the week with other headroom; the first that holds counts; begin early, for instances take minutes to boot"`
}

// HeadroomUnit is a number of equal units of free room.
type HeadroomUnit struct {
	CPUUnits   int64             `json:"cpuUnits,omitempty" desc:"CPU units of one unit; 1024 is one vCPU"`
	MemoryMiB  int64             `json:"memoryMiB,omitempty" desc:"MiB of one unit"`
	GPUs       int64             `json:"gpus,omitempty" desc:"GPUs of one unit"`
	Count      int               `json:"count" desc:"how many units"`
	LaunchSpec LaunchSpecName    `json:"launchSpec,omitempty" desc:"keep them on instances of this launch spec only"`
	Attributes map[string]string `json:"attributes,omitempty" desc:"keep them on instances that carry these attributes"`
}

// Needs is the size of one unit.
func (u *HeadroomUnit) Needs() Resources {
	return Resources{CPUUnits: u.CPUUnits, MemoryMiB: u.MemoryMiB, GPUs: u.GPUs}
}

// WeekWindow is a time of the week, every week. It is written in the time of a zone, so that
// it moves with daylight saving time, or at an offset, so that it does not.
type WeekWindow struct {
	Days      []Weekday `json:"days,omitempty" desc:"days on which it begins: mon, tue, wed, thu, fri, sat, sun; empty is every day"`
	From      TimeOfDay `json:"from" desc:"when it begins, such as 07:45"`
	To        TimeOfDay `json:"to" desc:"when it ends, such as 18:00; at or before from it ends on the next day"`
	ToDay     Weekday   `json:"toDay,omitempty" desc:"day on which it ends, if that is neither the day on which it begins nor the next: fri 20:00 to mon 07:00"`
	TimeZone  string    `json:"timeZone,omitempty" desc:"time zone of from and to, such as Europe/Berlin, with its daylight saving time; default UTC"`
	UTCOffset string    `json:"utcOffset,omitempty" desc:"instead of timeZone: a fixed offset such as +02:00, without daylight saving time"`
}

// HeadroomWindow is a time of the week with other headroom: what it sets stands in the
// place of what the policy says otherwise, what it leaves out stays as it is.
type HeadroomWindow struct {
	WeekWindow `yaml:",inline"`

	Units               []HeadroomUnit `json:"units,omitempty" desc:"units of a fixed size"`
	Percentage          *int           `json:"percentage,omitempty" desc:"as headroom.percentage; 0 is none"`
	AutomaticPercentage *int           `json:"automaticPercentage,omitempty" desc:"as headroom.automaticPercentage; 0 is none"`
	Off                 bool           `json:"off,omitempty" desc:"keep no headroom at all"`
}

// ScaleDown says when instances are removed.
type ScaleDown struct {
	Enabled         *bool    `json:"enabled,omitempty" desc:"remove instances at all; default true"`
	MaxPercentage   int      `json:"maxPercentage,omitempty" desc:"share of the cluster that may drain at once; default 10, and always at least one instance"`
	StableFor       Duration `json:"stableFor,omitempty" desc:"how long an instance must have been unneeded; default 5m"`
	Cooldown        Duration `json:"cooldown,omitempty" desc:"wait after the last launch or removal; default 5m"`
	MinLifetime     Duration `json:"minLifetime,omitempty" desc:"age below which no instance is removed; default 10m"`
	Replace         *bool    `json:"replace,omitempty" desc:"replace instances by others that cost less for the same tasks, which moves tasks; default false, for a task may move more than once until the cluster is settled"`
	ReplaceSavings  int      `json:"replaceSavings,omitempty" desc:"percent that a replacement has to save of what the instances cost; default 5"`
	StandaloneTasks bool     `json:"standaloneTasks,omitempty" desc:"remove instances that run standalone tasks; these are lost, for ECS never moves them"`

	Windows   []WeekWindow `json:"windows,omitempty" desc:"maintenance windows: instances are removed and replaced within these only; empty is always"`
	Blackouts []WeekWindow `json:"blackouts,omitempty" desc:"times of the week at which no instance is removed or replaced, maintenance window or not"`
}

// SpecScaleDown says what is different when instances of a launch spec are removed.
type SpecScaleDown struct {
	Restrict      bool `json:"restrict,omitempty" desc:"remove only instances on which nothing but daemon tasks runs"`
	MaxPercentage int  `json:"maxPercentage,omitempty" desc:"share of its instances that may drain at once, and always at least one; 0 is no such limit"`
	MaxInstances  int  `json:"maxInstances,omitempty" desc:"instances of it that may drain at once; 0 is no such limit"`
}

// DrainPolicy says how an instance is emptied.
type DrainPolicy struct {
	Timeout   Duration  `json:"timeout,omitempty" desc:"how long ECS may take to move the tasks; default 15m"`
	OnTimeout OnTimeout `json:"onTimeout,omitempty" desc:"then: stop (stop the tasks that are left; default) or restore (set the instance active again)"`
}

// OnTimeout is what follows a drain that took too long.
type OnTimeout string

// What may follow a drain that took too long.
const (
	TimeoutStop    OnTimeout = "stop"
	TimeoutRestore OnTimeout = "restore"
)

// UnhealthyPolicy says what becomes of instances of Neap that do not work: their agent is not
// connected, or EC2's status checks of them fail.
type UnhealthyPolicy struct {
	Replace *bool    `json:"replace,omitempty" desc:"replace such instances: room for their tasks first, and never more at once than may drain; default true"`
	After   Duration `json:"after,omitempty" desc:"how long it must have lasted; default 10m"`
}

// BootPolicy says what is expected of a new instance.
type BootPolicy struct {
	Timeout        Duration `json:"timeout,omitempty" desc:"how long an instance may take to register before it is given up; default 7m"`
	WindowsTimeout Duration `json:"windowsTimeout,omitempty" desc:"the same for Windows; default 15m"`
}

// LaunchSpec is one way to launch instances. Fields that are not set are taken from the
// first launch spec of the policy; [Policy.WithDefaults] resolves that.
type LaunchSpec struct {
	Name            LaunchSpecName    `json:"name" desc:"name, unique in the policy; a tag on every instance"`
	LaunchTemplate  *LaunchTemplate   `json:"launchTemplate,omitempty" desc:"EC2 launch template to start from; the fields below override it"`
	Images          []string          `json:"images,omitempty" desc:"image IDs or SSM parameter names, at most one per architecture"`
	OperatingSystem OperatingSystem   `json:"operatingSystem,omitempty" desc:"linux or windows: what the images run; default windows if the name of one says so, else linux"`
	Subnets         []SubnetID        `json:"subnets,omitempty" desc:"subnets to launch in; their zones are the zones used"`
	SecurityGroups  []string          `json:"securityGroups,omitempty" desc:"security group IDs"`
	InstanceProfile string            `json:"instanceProfile,omitempty" desc:"name or ARN of the instance profile"`
	KeyName         string            `json:"keyName,omitempty" desc:"EC2 key pair"`
	BlockDevices    []BlockDevice     `json:"blockDevices,omitempty" desc:"volumes of every instance, over those of the image and the launch template by device name"`
	Metadata        MetadataOptions   `json:"metadata,omitzero" desc:"how processes on the instance may read its metadata; default IMDSv2 with two hops, or what the launch template says"`
	UserData        string            `json:"userData,omitempty" desc:"shell script (PowerShell for Windows) run at boot before the agent starts; Neap adds the lines that join the cluster"`
	Tags            map[string]string `json:"tags,omitempty" desc:"tags of instances and volumes"`
	Attributes      map[string]string `json:"attributes,omitempty" desc:"ECS attributes its instances carry"`
	Types           TypeFilter        `json:"instanceTypes,omitzero" desc:"which instance types it may use"`
	PreferredTypes  []string          `json:"preferredTypes,omitempty" desc:"names or patterns of types to prefer: another is launched only if it saves more than a fifth"`
	Orientation     Orientation       `json:"orientation,omitempty" desc:"how to weigh a low price against a spot instance that stays: cheapest, costOriented, balanced (default) or availability; see below"`
	SpotPercentage  *int              `json:"spotPercentage,omitempty" desc:"share of its instances to run on spot; default 0, for spot can be taken away"`
	SpotFallback    *bool             `json:"spotFallback,omitempty" desc:"use on-demand when no spot offering has capacity; default true"`
	MinInstances    int               `json:"minInstances,omitempty" desc:"instances of this launch spec to keep, however idle"`
	MaxInstances    int               `json:"maxInstances,omitempty" desc:"instances of this launch spec never to exceed; 0 is no such limit"`
	MaxVCPUs        int64             `json:"maxVCPUs,omitempty" desc:"vCPUs of its instances never to exceed; 0 is no such limit"`
	MaxMemoryGiB    int64             `json:"maxMemoryGiB,omitempty" desc:"memory of its instances never to exceed; 0 is no such limit"`
	ReservedMemory  int64             `json:"reservedMemoryMiB,omitempty" desc:"MiB that the agent keeps for the system (ECS_RESERVED_MEMORY)"`
	ENITrunking     bool              `json:"eniTrunking,omitempty" desc:"the account setting awsvpcTrunking is on for its instance role"`
	ScaleDown       SpecScaleDown     `json:"scaleDown,omitzero" desc:"how its instances are removed, beside what scaleDown of the policy says; not taken from the first launch spec"`
	Drain           DrainPolicy       `json:"drain,omitzero" desc:"how its instances are emptied; what is not set is as drain of the policy says"`
}

// OperatingSystem is what the instances of a launch spec run.
type OperatingSystem string

// The operating systems. Linux is Amazon Linux or Bottlerocket.
const (
	Linux   OperatingSystem = "linux"
	Windows OperatingSystem = "windows"
)

// Windows reports whether instances of the launch spec run Windows. Only tasks that ask for
// Windows are launched for on such, and they cost what they cost with its licence.
func (l *LaunchSpec) Windows() bool { return l.OperatingSystem == Windows }

// HasWindows reports whether any launch spec is for Windows. It has to have its defaults.
func (p *Policy) HasWindows() bool {
	return slices.ContainsFunc(p.LaunchSpecs, func(l LaunchSpec) bool { return l.Windows() })
}

// systemOf is the operating system that the names of images tell: those of AWS's parameters
// for Windows say so. IDs tell nothing.
func systemOf(images []string) OperatingSystem {
	if slices.ContainsFunc(images, namesWindows) {
		return Windows
	}
	return ""
}

func namesWindows(image string) bool { return strings.Contains(strings.ToLower(image), "windows") }

// Orientation is how a launch spec weighs a low price against an instance that stays.
//
// A spot pool whose price is near the on-demand price is in short supply, and so is one
// from which AWS is taking instances back, or which had none to give: such a pool is the
// likelier to interrupt what runs there. Each interruption costs a replacement that runs
// beside the old instance, and a disturbance. So the planner compares spot pools by
//
//	price + weight × price × risk
//
// where the risk is the share of the on-demand price that spot costs, and 1 for a pool that
// shows trouble. On-demand offerings have no risk: their price is their price. The weight,
// and how much more an offering may cost to be named in a launch beside the chosen one, so
// that EC2 can pick the one with capacity, are
//
//	cheapest      0     0 %
//	costOriented  ¼     2 %
//	balanced      1     5 %
//	availability  4    25 %
type Orientation string

// The orientations.
const (
	Cheapest          Orientation = "cheapest"
	CostOriented      Orientation = "costOriented"
	Balanced          Orientation = "balanced"
	AvailabilityFirst Orientation = "availability"
)

// LaunchTemplate names an EC2 launch template.
type LaunchTemplate struct {
	ID      string `json:"id,omitempty" desc:"launch template ID; this or name"`
	Name    string `json:"name,omitempty" desc:"launch template name; this or ID"`
	Version string `json:"version,omitempty" desc:"version number, $Latest or $Default; default $Default"`
}

// TypeFilter selects instance types: all that pass every condition.
type TypeFilter struct {
	Allow         []string       `json:"allow,omitempty" desc:"names or patterns (m7i.*, c*.large); empty is any"`
	Deny          []string       `json:"deny,omitempty" desc:"names or patterns never to use"`
	Architectures []Architecture `json:"architectures,omitempty" desc:"x86_64, arm64; default x86_64, for ECS would place x86 images on arm64"`
	MinVCPUs      int64          `json:"minVCPUs,omitempty" desc:"least vCPUs"`
	MaxVCPUs      int64          `json:"maxVCPUs,omitempty" desc:"most vCPUs; 0 is no limit"`
	MinMemoryGiB  int64          `json:"minMemoryGiB,omitempty" desc:"least memory"`
	MaxMemoryGiB  int64          `json:"maxMemoryGiB,omitempty" desc:"most memory; 0 is no limit"`
	Families      []string       `json:"families,omitempty" desc:"families or patterns (m7i, c7*), upper or lower case; empty is any"`
	DenyFamilies  []string       `json:"denyFamilies,omitempty" desc:"families or patterns never to use"`
	Categories    []Category     `json:"categories,omitempty" desc:"general, compute, memory, storage, accelerated, hpc; empty is any"`
	Generations   []int64        `json:"generations,omitempty" desc:"the number in the name of a family (m7i: 7); empty is any"`
	MinGeneration int64          `json:"minGeneration,omitempty" desc:"least generation"`
	MinGPUs       int64          `json:"minGPUs,omitempty" desc:"least GPUs"`
	MaxGPUs       int64          `json:"maxGPUs,omitempty" desc:"most GPUs; 0 is no limit"`
	MinENIs       int64          `json:"minENIs,omitempty" desc:"least network interfaces"`
	LocalDisks    LocalDisks     `json:"localDisks,omitempty" desc:"required (only types with disks of their own), excluded (none of these) or any (default)"`
	MinDiskGiB    int64          `json:"minDiskGiB,omitempty" desc:"least room on local disks"`
	MinNetwork    int64          `json:"minNetworkGbps,omitempty" desc:"least network bandwidth that it can keep up"`
	MaxNetwork    int64          `json:"maxNetworkGbps,omitempty" desc:"most network bandwidth; 0 is no limit"`
	MinPrice      float64        `json:"minPrice,omitempty" desc:"least on-demand price in dollars per hour"`
	MaxPrice      float64        `json:"maxPrice,omitempty" desc:"most on-demand price in dollars per hour, of its spot instances too; 0 is no limit"`
	Burstable     bool           `json:"burstable,omitempty" desc:"allow burstable types (t2, t3, t3a, t4g)"`
	Metal         bool           `json:"metal,omitempty" desc:"allow bare metal"`
	GPU           bool           `json:"gpu,omitempty" desc:"allow types with GPUs for tasks that need none"`
}

// LocalDisks says whether types with disks of their own are wanted.
type LocalDisks string

// What a filter may say about local disks.
const (
	DisksAny      LocalDisks = "any"
	DisksRequired LocalDisks = "required"
	DisksExcluded LocalDisks = "excluded"
)

// AttributePolicy names what Neap reads and writes.
type AttributePolicy struct {
	RestrictTags []string `json:"restrictTags,omitempty" desc:"task definition or service tags that, set to true, keep their instance; default neap.dev/restrict-scale-down and spotinst.io/restrict-scale-down"`
}

// Attributes that Neap puts on every instance it launches, so that placement constraints
// can ask for them.
const (
	AttributeLifecycle  = "neap.dev/lifecycle"   // on-demand or spot
	AttributeLaunchSpec = "neap.dev/launch-spec" // name of the launch spec

	// AttributeLifecycleAlias is what users of the reference product constrain on; its
	// values are od and spot.
	AttributeLifecycleAlias = "spotinst.io/container-instance-lifecycle"
)

// Tags that Neap puts on every instance in the launch call itself.
const (
	TagOwner      = "neap.dev/owner"
	TagCluster    = "neap.dev/cluster"
	TagGeneration = "neap.dev/generation"
	TagAction     = "neap.dev/action"
	TagPlan       = "neap.dev/plan"
	TagLaunchSpec = "neap.dev/launch-spec"
	TagDeadline   = "neap.dev/boot-deadline" // RFC 3339; the instance refuses to join later
	TagTrace      = "neap.dev/trace"
	TagReserved   = "neap.dev/reserved-memory-mib" // what its agent keeps for the system; absent for none
	TagDrain      = "neap.dev/drain"               // put on later: the drain action that has it in hand
)

// Duration is a time.Duration that is written "15m" in documents.
type Duration time.Duration

// MarshalJSON writes the duration as Go prints it ("15m0s").
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads "15m", "1h30m".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%w: duration %s: write it in quotes with a unit, such as \"15m\"", ErrInvalid, clip(string(b)))
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%w: duration %q: write a number with a unit, such as 15m, 90s or 1h30m", ErrInvalid, clip(text))
	}
	*d = Duration(v)
	return nil
}

// Default values of a policy, each on the safe side.
const (
	defaultReplaceSavings = 5                // percent: what is less is not worth moving tasks for
	defaultMaxPercentage  = 10               // of the cluster at once, as the reference product
	defaultStableFor      = 5 * time.Minute  // shorter flaps with services that scale often
	defaultCooldown       = 5 * time.Minute  // ECS needs minutes to settle after a change
	defaultMinLifetime    = 10 * time.Minute // below it, what was just paid for is thrown away
	defaultDrainTimeout   = 15 * time.Minute // load balancers alone take 5 to deregister
	defaultUnhealthyAfter = 10 * time.Minute // agents restart and hosts reboot within five
	defaultBootTimeout    = 7 * time.Minute  // Linux registers within 2, p95
	defaultWindowsBoot    = 15 * time.Minute // Windows takes 3 to 10
	defaultGiveUpAfter    = 2 * time.Hour    // as the reference product: launches did not help
	defaultStandaloneFor  = 10 * time.Minute // an instance boots in two, and who asked has asked again by then
)

// WithDefaults returns the policy with every default filled in and every launch spec
// completed from the first one. It does not change p.
func (p Policy) WithDefaults() Policy {
	p.APIVersion = or(p.APIVersion, PolicyAPIVersion)
	p.DryRun = orPointer(p.DryRun, true)
	p.ScaleUp.Surge = or(p.ScaleUp.Surge, SurgeFull)
	p.ScaleUp.GiveUpAfter = or(p.ScaleUp.GiveUpAfter, Duration(defaultGiveUpAfter))
	p.ScaleUp.StandaloneFor = or(p.ScaleUp.StandaloneFor, Duration(defaultStandaloneFor))
	p.ScaleDown.Enabled = orPointer(p.ScaleDown.Enabled, true)
	p.ScaleDown.Replace = orPointer(p.ScaleDown.Replace, false)
	p.ScaleDown.ReplaceSavings = or(p.ScaleDown.ReplaceSavings, defaultReplaceSavings)
	p.ScaleDown.MaxPercentage = or(p.ScaleDown.MaxPercentage, defaultMaxPercentage)
	p.ScaleDown.StableFor = or(p.ScaleDown.StableFor, Duration(defaultStableFor))
	p.ScaleDown.Cooldown = or(p.ScaleDown.Cooldown, Duration(defaultCooldown))
	p.ScaleDown.MinLifetime = or(p.ScaleDown.MinLifetime, Duration(defaultMinLifetime))
	p.Drain.Timeout = or(p.Drain.Timeout, Duration(defaultDrainTimeout))
	p.Drain.OnTimeout = or(p.Drain.OnTimeout, TimeoutStop)
	p.Unhealthy.Replace = orPointer(p.Unhealthy.Replace, true)
	p.Unhealthy.After = or(p.Unhealthy.After, Duration(defaultUnhealthyAfter))
	p.Boot.Timeout = or(p.Boot.Timeout, Duration(defaultBootTimeout))
	p.Boot.WindowsTimeout = or(p.Boot.WindowsTimeout, Duration(defaultWindowsBoot))
	p.Rolls.Drift, p.Rolls.RollPace = or(p.Rolls.Drift, DriftReport), p.Rolls.WithDefaults()
	if len(p.Attributes.RestrictTags) == 0 {
		p.Attributes.RestrictTags = []string{"neap.dev/restrict-scale-down", "spotinst.io/restrict-scale-down"}
	}
	specs := make([]LaunchSpec, len(p.LaunchSpecs))
	for i := range p.LaunchSpecs {
		specs[i] = p.LaunchSpecs[i].inherit(&p.LaunchSpecs[0])
	}
	p.LaunchSpecs = specs
	return p
}

// inherit completes a launch spec from the first one of the policy. What identifies a
// spec (name, attributes, limits) is never inherited, nor is how its instances are removed,
// and what is written for one operating system not by a spec for the other.
func (l LaunchSpec) inherit(from *LaunchSpec) LaunchSpec {
	theirs := or(from.OperatingSystem, systemOf(from.Images))
	if l.OperatingSystem == "" {
		l.OperatingSystem = systemOf(l.Images)
		if len(l.Images) == 0 {
			l.OperatingSystem = theirs
		}
	}
	if l.Windows() != (theirs == Windows) {
		other := *from
		other.Images, other.UserData, other.BlockDevices, other.ReservedMemory, other.ENITrunking = nil, "", nil, 0, false
		from = &other
	}
	if l.LaunchTemplate == nil {
		l.LaunchTemplate = from.LaunchTemplate
	}
	l.Images = orSlice(l.Images, from.Images)
	l.Subnets = orSlice(l.Subnets, from.Subnets)
	l.SecurityGroups = orSlice(l.SecurityGroups, from.SecurityGroups)
	l.InstanceProfile = or(l.InstanceProfile, from.InstanceProfile)
	l.KeyName = or(l.KeyName, from.KeyName)
	l.BlockDevices = orSlice(l.BlockDevices, from.BlockDevices)
	l.Metadata = or(l.Metadata, from.Metadata)
	l.UserData = or(l.UserData, from.UserData)
	if l.Tags == nil {
		l.Tags = from.Tags
	}
	if l.Types.isZero() {
		l.Types = from.Types
	}
	l.Types.Architectures = orSlice(l.Types.Architectures, []Architecture{X86})
	l.PreferredTypes = orSlice(l.PreferredTypes, from.PreferredTypes)
	l.Orientation = or(or(l.Orientation, from.Orientation), Balanced)
	if l.SpotPercentage == nil {
		l.SpotPercentage = orPointer(from.SpotPercentage, 0)
	}
	if l.SpotFallback == nil {
		l.SpotFallback = orPointer(from.SpotFallback, true)
	}
	l.ReservedMemory = or(l.ReservedMemory, from.ReservedMemory)
	l.ENITrunking = l.ENITrunking || from.ENITrunking
	return l
}

// isZero reports whether the filter says nothing: as a document, for there an empty list is
// no list.
func (f *TypeFilter) isZero() bool {
	b, err := json.Marshal(f)
	return err == nil && string(b) == "{}"
}

// Digest is the identity of the policy.
func (p *Policy) Digest() (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("digest of policy: %w", err)
	}
	return Digest(b), nil
}

// Spec returns the launch spec of that name.
func (p *Policy) Spec(name LaunchSpecName) (*LaunchSpec, bool) {
	for i := range p.LaunchSpecs {
		if p.LaunchSpecs[i].Name == name {
			return &p.LaunchSpecs[i], true
		}
	}
	return nil, false
}

// DrainOf says how instances of a launch spec are emptied: as the spec says, and else as the
// policy does.
func (p *Policy) DrainOf(name LaunchSpecName) DrainPolicy {
	d := p.Drain
	if spec, ok := p.Spec(name); ok {
		d.Timeout, d.OnTimeout = or(spec.Drain.Timeout, d.Timeout), or(spec.Drain.OnTimeout, d.OnTimeout)
	}
	return d
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func orPointer[T any](v *T, otherwise T) *T {
	if v != nil {
		return v
	}
	return &otherwise
}

func orSlice[T any](v, otherwise []T) []T {
	if len(v) > 0 {
		return v
	}
	return otherwise
}
