/** Askance's mark: an eye that looks sideways. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path
        d="M3 16.500C7 8.500 12 6.500 16.500 6.500c5.500 0 10 4 12.500 10.500-4-3.500-8-5-12.500-5-4.500 0-9 1.500-13.500 4.500Z"
        fill="currentColor"
      />
      <circle cx="18.500" cy="17.500" r="5.500" fill="none" stroke="currentColor" strokeWidth="2.400" />
      <circle cx="20.200" cy="17" r="2" fill="currentColor" />
    </svg>
  );
}
