# shellcheck shell=bash disable=SC2154
# Which kernel the guest boots: from a name in the list, a version or a path to an image and its modules.
# Needs: vm_dir (this tree), vm_cache (where downloads are kept), die MESSAGE.
# Results: kernel_version, kernel_image, kernel_modules (holds modules.dep; may be outside /lib/modules).

kernel_version='' kernel_image='' kernel_modules=''

# Prints the package that tests/vm/kernels gives for NAME; fails if there is none.
kernel_package_of() {
  local name package
  while read -r name package; do
    [[ $name == "$1" ]] && { echo "$package"; return 0; }
  done < <(grep -Ev '^[[:space:]]*(#|$)' "$vm_dir/kernels")
  return 1
}

# Prints the version of the image that PACKAGE is or depends on. What is installed decides before what could be.
kernel_version_of_package() {
  local package=$1 depends
  if [[ $package =~ ^linux-image-([0-9].*)$ ]]; then
    echo "${BASH_REMATCH[1]}"
    return
  fi
  depends=$(dpkg-query -W -f '${Depends}' "$package" 2>/dev/null) || depends=
  [[ -n $depends ]] || depends=$(apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Depends: //p')
  [[ $depends =~ linux-image-([0-9][^\ ,]*) ]] ||
    die "package $package is neither installed nor known to apt: apt-get update && apt-get install $package"
  echo "${BASH_REMATCH[1]}"
}

# Prints the version that an image states about itself (x86 boot protocol: a pointer at 0x20e, relative to 0x200).
kernel_version_of_image() {
  local image=$1 magic pointer version
  magic=$(od -An -c -j 514 -N 4 "$image" | tr -d ' ')
  [[ $magic == HdrS ]] || die "$image is no x86 kernel image"
  pointer=$(od -An -tu2 -j 526 -N 2 "$image")
  version=$(tail -c +$((pointer + 512 + 1)) "$image" | head -c 256 | tr '\0' '\n' | head -n 1) || true
  echo "${version%% *}"
}

# Container images often leave /boot out of installed packages. Then the package is unpacked, not installed, next to the build.
download_kernel() {
  local version=$1 package=linux-image-$1 tree=$vm_cache/kernel-$1 scratch
  [[ -e $tree/boot/vmlinuz-$version && -e $tree/lib/modules/$version/modules.dep ]] && return
  echo "run-in-guest: $package is not on this machine, downloading it" >&2
  mkdir -p "$vm_cache"
  scratch=$(mktemp -d "$vm_cache/download.XXXXXX")
  (
    trap 'rm -rf "$scratch"' EXIT
    cd "$scratch" || die "cannot enter $scratch"
    apt-get -q -o APT::Sandbox::User=root download "$package" >apt.log 2>&1 ||
      die "cannot download $package: $(tail -n 1 apt.log)"
    dpkg-deb -x "$package"_*.deb tree
    mkdir -p tree/lib  # where /lib is a link to usr/lib the package may hold either
    [[ -d tree/lib/modules ]] || ln -s ../usr/lib/modules tree/lib/modules
    depmod -b "$scratch/tree" "$version"  # the package leaves this to its postinst
    rm -rf "$tree"
    mv tree "$tree"
  )
}

# select_kernel NAME|VERSION|PATH
select_kernel() {
  local wanted=$1 package
  if [[ $wanted == */* ]]; then
    [[ -r $wanted ]] || die "cannot read kernel image $wanted"
    kernel_image=$(realpath "$wanted")
    kernel_version=$(kernel_version_of_image "$kernel_image")
    kernel_modules=$(realpath -m "${kernel_image%/*}/../lib/modules/$kernel_version")
    [[ -d $kernel_modules ]] || kernel_modules=/lib/modules/$kernel_version
  else
    kernel_version=$wanted
    if package=$(kernel_package_of "$wanted"); then
      kernel_version=$(kernel_version_of_package "$package")
    elif [[ $wanted != [0-9]* ]]; then
      die "no kernel '$wanted' in $vm_dir/kernels"
    fi
    kernel_image=/boot/vmlinuz-$kernel_version
    kernel_modules=/lib/modules/$kernel_version
    if [[ ! -r $kernel_image || ! -r $kernel_modules/modules.dep ]]; then
      download_kernel "$kernel_version"
      kernel_image=$vm_cache/kernel-$kernel_version/boot/vmlinuz-$kernel_version
      kernel_modules=$(realpath "$vm_cache/kernel-$kernel_version/lib/modules/$kernel_version")
    fi
  fi
  [[ -r $kernel_modules/modules.dep ]] || die "no modules for kernel $kernel_version ($kernel_modules/modules.dep)"
}
