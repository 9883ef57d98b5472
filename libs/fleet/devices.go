package fleet

import (
	"fmt"
	"regexp"
)

// BlockDevice is an EBS volume of every instance of a launch spec.
type BlockDevice struct {
	Device        string     `json:"device" desc:"device name, such as /dev/xvda, which is the root of Amazon Linux"`
	SizeGiB       int64      `json:"sizeGiB,omitempty" desc:"size, to which what follows is added; 0 is the size of the image's volume or the snapshot"`
	PerVCPUGiB    int64      `json:"perVCPUGiB,omitempty" desc:"GiB more for each vCPU of the instance type"`
	PerMemoryGiB  int64      `json:"perMemoryGiB,omitempty" desc:"GiB more for each GiB of memory that the instance registers, rounded up"`
	Type          VolumeType `json:"type,omitempty" desc:"gp3 (default), gp2, io1, io2, st1, sc1 or standard"`
	IOPS          int64      `json:"iops,omitempty" desc:"I/O operations per second, of gp3, io1 and io2"`
	ThroughputMiB int64      `json:"throughputMiBps,omitempty" desc:"MiB/s, of gp3: 125 to 2000"`
	Encrypted     *bool      `json:"encrypted,omitempty" desc:"encrypt it; default what the account does by default"`
	KMSKey        string     `json:"kmsKey,omitempty" desc:"ID, ARN or alias of the key to encrypt with"`
	Snapshot      string     `json:"snapshot,omitempty" desc:"snapshot ID to make it from"`
	Keep          bool       `json:"keep,omitempty" desc:"keep the volume when the instance ends; it goes on to cost until somebody deletes it"`
}

// Grows reports whether the volume is larger on larger types.
func (b *BlockDevice) Grows() bool { return b.PerVCPUGiB > 0 || b.PerMemoryGiB > 0 }

// SizeFor is the size in GiB on an instance that registers so much; 0 is that of the image.
func (b *BlockDevice) SizeFor(capacity Resources) int64 {
	const unitsPerVCPU, mibPerGiB = 1024, 1024
	return b.SizeGiB + b.PerVCPUGiB*((capacity.CPUUnits+unitsPerVCPU-1)/unitsPerVCPU) + b.PerMemoryGiB*((capacity.MemoryMiB+mibPerGiB-1)/mibPerGiB)
}

// VolumeType is a type of EBS volume, as EC2 names it.
type VolumeType string

// VolumeTypes lists the types of EBS volumes.
func VolumeTypes() []VolumeType {
	return []VolumeType{"gp3", "gp2", "io1", "io2", "st1", "sc1", "standard"}
}

// MetadataOptions say how processes on an instance may read its metadata, role credentials
// included.
type MetadataOptions struct {
	Tokens   MetadataTokens `json:"tokens,omitempty" desc:"required (IMDSv2 alone; default) or optional (IMDSv1 too)"`
	HopLimit int            `json:"hopLimit,omitempty" desc:"network hops that an answer may take: 1 shuts out containers in bridge mode, 2 is the default"`
	Tags     bool           `json:"tags,omitempty" desc:"let the tags of the instance be read"`
}

// MetadataTokens says whether metadata is given out without a token.
type MetadataTokens string

// What a launch spec may ask for.
const (
	TokensRequired MetadataTokens = "required"
	TokensOptional MetadataTokens = "optional"
)

func (l *LaunchSpec) validateMachine(p *problems, at string) {
	devices := map[string]bool{}
	for i := range l.BlockDevices {
		b := &l.BlockDevices[i]
		if devices[b.Device] {
			p.add(fmt.Sprintf("%s.blockDevices[%d].device", at, i), "%q stands twice", clip(b.Device))
		}
		devices[b.Device] = true
		b.validate(p, fmt.Sprintf("%s.blockDevices[%d]", at, i))
	}
	oneOf(p, at+".metadata.tokens", l.Metadata.Tokens, "", TokensRequired, TokensOptional)
	const maxHops = 64 // of EC2
	if h := l.Metadata.HopLimit; h < 0 || h > maxHops {
		p.add(at+".metadata.hopLimit", "%d; use 1 to %d, 2 is usual", h, maxHops)
	}
}

// deviceName is how EC2 names block devices: /dev/xvda, /dev/sda1, xvdb.
var deviceName = regexp.MustCompile(`^(/dev/)?[a-z][a-z0-9]{1,15}$`)

func (b *BlockDevice) validate(p *problems, at string) {
	const (
		maxGiB        = 64 << 10 // of EBS, for the largest volume types
		maxPerUnit    = 1 << 10  // GiB a vCPU or GiB of memory: any more is a slip of the pen
		maxIOPS       = 256_000
		minThroughput = 125
		maxThroughput = 2_000
	)
	if !deviceName.MatchString(b.Device) {
		p.add(at+".device", "%q; write a device name such as /dev/xvda", clip(b.Device))
	}
	if b.SizeGiB < 0 || b.SizeGiB > maxGiB || b.PerVCPUGiB < 0 || b.PerVCPUGiB > maxPerUnit || b.PerMemoryGiB < 0 || b.PerMemoryGiB > maxPerUnit {
		p.add(at, "sizeGiB %d, perVCPUGiB %d, perMemoryGiB %d; use a size of 0 to %d, and 0 to %d for each vCPU or GiB", b.SizeGiB, b.PerVCPUGiB, b.PerMemoryGiB, maxGiB, maxPerUnit)
	}
	if b.SizeGiB == 0 && b.Grows() {
		p.add(at+".sizeGiB", "0 with perVCPUGiB %d, perMemoryGiB %d; set the size to start from, at least that of the image", b.PerVCPUGiB, b.PerMemoryGiB)
	}
	oneOf(p, at+".type", b.Type, append(VolumeTypes(), "")...)
	takesIOPS := b.Type == "" || b.Type == "gp3" || b.Type == "io1" || b.Type == "io2"
	if b.IOPS < 0 || b.IOPS > maxIOPS || b.IOPS > 0 && !takesIOPS {
		p.add(at+".iops", "%d of type %s; leave it out, or use at most %d with gp3, io1 or io2", b.IOPS, b.Type, maxIOPS)
	}
	if b.IOPS == 0 && (b.Type == "io1" || b.Type == "io2") {
		p.add(at+".iops", "0; a volume of type %s needs a number, such as 3000", b.Type)
	}
	if t := b.ThroughputMiB; t != 0 && (t < minThroughput || t > maxThroughput || b.Type != "" && b.Type != "gp3") {
		p.add(at+".throughputMiBps", "%d of type %s; leave it out, or use %d to %d with gp3", t, b.Type, minThroughput, maxThroughput)
	}
	if b.KMSKey != "" && b.Encrypted != nil && !*b.Encrypted {
		p.add(at+".kmsKey", "%q with encrypted: false; leave one of them out", clip(b.KMSKey))
	}
}
